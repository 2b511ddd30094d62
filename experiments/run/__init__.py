"""What a run leaves behind: its directory, record, checkpoints, curves."""
