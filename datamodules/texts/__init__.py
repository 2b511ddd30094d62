"""What texts are made of: their files, their vocabulary, their tokens."""
