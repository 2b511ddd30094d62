"""Sweeps: many runs by one command. Only the processes that check and run configurations import torch."""
