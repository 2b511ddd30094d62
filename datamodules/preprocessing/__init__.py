"""Statistics of train rows and the transformations that they parametrize."""
