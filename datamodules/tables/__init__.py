"""Tables: readers, columns, targets, and their encoding."""
