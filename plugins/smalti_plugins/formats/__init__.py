"""Readers of image formats."""
