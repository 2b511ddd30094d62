"""Sweeps: many runs by one command. Only ``config_check_process``, a process of its own, imports torch."""
