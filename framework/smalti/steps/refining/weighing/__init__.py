"""How much each reflection counts: the noise of centroids, outliers, wrong indices."""
