"""Figures of a test, drawn at its end. Only the functions that draw import matplotlib."""
