"""Three plugins for smalti: a reader, a minimiser, an outlier rejector."""
