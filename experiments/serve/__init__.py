"""What ``evenhand serve`` is made of."""
