"""Data larger than memory: arrays on disk, blocks of them, their split."""
