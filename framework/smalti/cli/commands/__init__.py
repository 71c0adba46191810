"""One module per command; each gives its specification as ``COMMAND``."""
