from .predictor import load as load
