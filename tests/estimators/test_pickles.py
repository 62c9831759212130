"""Pickles: stamped with the version of the package, and readable by later versions."""

import pickle
import warnings
from pathlib import Path

import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_regressor

from factories import data_for, each_estimator, not_converged, small
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor
from skregnet._version import __version__

# One file for each version that has written any: {"model": bytes, "X": ..., "predictions": ...},
# by the function below.
FILES = sorted((Path(__file__).parent / "pickles").glob("*.pkl"))


def write(folder):
    """Write the files of this version: run once, when it is released."""
    for Estimator in (RegularizedMLPClassifier, RegularizedMLPRegressor):
        X, y = data_for(Estimator, 100)
        model = small(Estimator, dropout=0.1, batch_norm=True, n_estimators=2).partial_fit(
            X, y, **({"classes": [0, 1]} if Estimator is RegularizedMLPClassifier else {})
        )
        content = {"model": pickle.dumps(model), "X": X, "y": y, "predictions": model.predict(X)}
        path = Path(folder) / f"{__version__}-{Estimator.__name__}.pkl"
        path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_files_of_each_version_are_read(path):
    content = pickle.loads(path.read_bytes())
    if path.stem.startswith(f"{__version__}-"):
        model = pickle.loads(content["model"])
    else:
        with pytest.warns(UserWarning, match="saved by skregnet"):
            model = pickle.loads(content["model"])
    assert_allclose(model.predict(content["X"]), content["predictions"], rtol=1e-6)
    model.partial_fit(content["X"], content["y"])
    samples = model.predict_mc(content["X"][:2], n_samples=5)
    spread = samples.epistemic_std if is_regressor(model) else samples.mutual_information
    assert (spread > 0).all()


def test_there_are_files():
    assert len(FILES) >= 2


@each_estimator
@not_converged
def test_another_version_warns_and_the_same_does_not(Estimator, monkeypatch):
    X, y = data_for(Estimator, 50)
    model = small(Estimator, max_iter=2).fit(X, y)
    written = pickle.dumps(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_array_equal(pickle.loads(written).predict(X), model.predict(X))
    assert "_skregnet_version" not in vars(pickle.loads(written))
    monkeypatch.setattr("skregnet.estimators.base.__version__", "99.0")
    with pytest.warns(UserWarning, match=rf"saved by skregnet {__version__} .* skregnet 99\.0"):
        pickle.loads(written)
