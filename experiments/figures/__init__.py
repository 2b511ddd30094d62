"""Figures of a test, drawn once at its end; matplotlib is imported only by what draws."""
