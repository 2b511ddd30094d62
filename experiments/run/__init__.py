"""One run: its preparation, callbacks, record, checkpoints and resume."""
