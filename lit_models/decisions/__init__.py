"""Decisions by validation rows: temperature, threshold, and prediction sets or intervals of a stated coverage."""
