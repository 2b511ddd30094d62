"""One file a verb, besides those of Lightning."""
