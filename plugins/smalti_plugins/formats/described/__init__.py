"""Detectors described by a TOML file alone."""
