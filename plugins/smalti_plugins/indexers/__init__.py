"""Indexers."""
