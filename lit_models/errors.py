"""The error that a model raises for invalid options."""


class ConfigError(ValueError):
    """Error for an invalid option; its message says in one sentence what is wrong, where, and what to do."""
