"""Spot finders."""
