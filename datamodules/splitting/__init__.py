"""Which rows train, which choose the epoch, which are tested."""
