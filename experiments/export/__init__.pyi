from .exported_predictor import load_export as load_export
