"""Sweeps: many runs by one command. Only the process that ``config_check`` starts imports torch."""
