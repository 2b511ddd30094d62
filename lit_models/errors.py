"""The errors that a model raises for invalid options."""


class ConfigError(ValueError):
    """Error for an invalid option; its message says in one sentence what is wrong, where, and what to do."""


class NoDirectionError(ConfigError):
    """Error for a monitored value that is best neither when low nor when high, as far as is clear."""
