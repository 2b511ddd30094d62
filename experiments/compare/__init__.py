"""Comparison of finished runs, from their files alone. Needs neither torch nor a GPU."""
