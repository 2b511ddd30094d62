"""Explanations of trained runs: which features their predictions need."""
