from .exported_predictor import load_export as load_export

__all__: list[str]
