"""RealMLP with its tuned defaults, of pytabkit."""

import logging

from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def make(kind, n_outputs, **parameters):
    """Return an estimator for 'regressor', 'classifier' or 'multilabel' targets."""
    del n_outputs
    cls = RealMLP_TD_Regressor if kind == "regressor" else RealMLP_TD_Classifier
    return cls(device="cpu", n_threads=1, n_epochs=64, **parameters)
