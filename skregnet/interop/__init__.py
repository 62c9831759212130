"""Conversion from and to scikit-learn's own networks."""
