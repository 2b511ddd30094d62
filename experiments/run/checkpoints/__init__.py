"""Checkpoint files: writing, choosing and reading them."""
