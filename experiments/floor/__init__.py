"""The floor: classical baselines of scikit-learn on the very split that the networks get."""
