"""Outlier rejectors."""
