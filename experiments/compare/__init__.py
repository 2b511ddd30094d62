"""Runs side by side, from what they left behind: no torch, no GPU."""
