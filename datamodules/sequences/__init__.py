"""Series: readers, padding and windows."""
