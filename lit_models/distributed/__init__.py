"""Layers and messages that need several processes."""
