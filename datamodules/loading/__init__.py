"""Batches: loaders, epoch order, device placement and the global batch."""
