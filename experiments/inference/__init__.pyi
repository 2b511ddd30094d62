from .predictor import load as load

__all__: list[str]
