"""Srivastava et al.'s figure 4 and table 9 in small."""

import numpy as np
import pytest


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_dropout_takes_away_errors_and_is_slower_at_first(example):
    page = example("plot_dropout_digits")
    without, dropped = (
        np.array([page.error_curve((128, 128), seed, n_epochs=80, **parameters) for seed in (0, 1)])
        for parameters in ({}, page.DROPOUT)
    )
    assert without.shape == (2, 80)
    assert dropped[:, :10].mean() > 1.1 * without[:, :10].mean()
    assert dropped[:, -30:].mean() < 0.95 * without[:, -30:].mean()


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("method", ["L2", "max-norm", "dropout\n+ max-norm"])
def test_methods_are_what_their_names_say(example, method):
    page = example("plot_dropout_digits")
    X, _, y, _ = page.split(0)
    n_epochs = page.N_EPOCHS if "dropout" in method else 80

    def norms(method):
        model = page.network((128, 128), 0, n_epochs, **page.METHODS[method]).fit(X, y)
        return [np.linalg.norm(weights, axis=0) for weights in model.coefs_[:-1]]

    bounded, free = norms(method), norms("dropout" if "dropout" in method else "none")
    if "max-norm" in method:
        bound = page.METHODS[method]["max_norm"]
        assert all(np.all(norm <= bound * 1.0001) for norm in bounded)
        assert any(np.any(norm > bound) for norm in free)
    else:
        assert all(a.mean() < b.mean() for a, b in zip(bounded, free, strict=True))
