"""The one error that a data module raises for its data or its settings."""


class DataError(ValueError):
    """Data or a setting that cannot be used; the message says what, where and what to do, in one sentence."""
