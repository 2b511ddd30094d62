"""Code that only makes CPUs faster; ``EVENHAND_PLAIN=1`` turns all of it off (see ``switch.py``)."""
