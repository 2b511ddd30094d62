"""Collective operations and layers of several processes."""
