"""Exact metrics of all rows, and their evaluation over devices."""
