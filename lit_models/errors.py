"""The one error that a model raises for what its user typed."""


class ConfigError(ValueError):
    """A setting that cannot be what was meant; the message says what, where and what to do, in one sentence."""
