"""Metrics of recorded predictions, in numpy and without torch."""
