"""Texts: readers, vocabulary and token ids."""
