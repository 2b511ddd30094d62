"""Classical baselines of scikit-learn on the split of the networks."""
