"""Checkpoint files: when they are written, how, and which one is read."""
