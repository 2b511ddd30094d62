"""Statistical tests and intervals of comparisons."""
