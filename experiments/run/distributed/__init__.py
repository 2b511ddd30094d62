"""Several processes: strategy, heartbeat and consistency between ranks."""
