"""Split of rows into train, val and test."""
