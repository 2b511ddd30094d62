"""The run folder: record, configuration, predictions and TensorBoard events."""
