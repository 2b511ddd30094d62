"""Exact metrics of all rows, in numpy for every user and as torchmetrics for training, and their evaluation."""
