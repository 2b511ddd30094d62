"""A trained run as files that need neither its data nor its training code."""
