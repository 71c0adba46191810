"""Parameterisations of detectors."""
