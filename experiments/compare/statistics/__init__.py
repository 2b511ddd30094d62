"""Statistical tests and intervals for comparisons."""
