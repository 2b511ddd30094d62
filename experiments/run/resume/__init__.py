"""Resuming a run: which checkpoint, what may change, and the exact state."""
