"""Resuming a run: the checkpoint, changed settings, and the exact state."""
