"""A look at data before training: counts, leakage, summary columns."""
