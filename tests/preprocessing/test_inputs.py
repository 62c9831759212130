"""Features, encoder and scaler in one object, without an estimator."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from skregnet.data import Source
from skregnet.preprocessing.inputs import Inputs

X = np.random.default_rng(0).normal(size=(40, 3))
SWITCHES = {"categorical_features": ["work"], "handle_missing": "indicator"}


def table():
    frame = pd.DataFrame(X, columns=list("abc")).assign(work=["x", "y", "z", None] * 10)
    frame.loc[3, "b"] = np.nan
    return frame


def fitted(data, scaler="standard", **switches):
    inputs, read = Inputs.describe(data, owner="Model", **switches)
    return inputs.fitted(read, None, scaler)


def network_inputs(inputs, data):
    return inputs.scaled(inputs.read(data), np.float32)[:]


def test_a_plain_array_is_read_as_it_is():
    inputs, read = Inputs.describe(X, owner="Model")
    assert read is X
    assert inputs.read(X) is X
    assert (inputs.n_features, inputs.feature_names, inputs.encoder) == (3, None, None)


def test_names_and_numbers_of_features_are_compared():
    frame = pd.DataFrame(X, columns=list("abc"))
    inputs = fitted(frame)
    assert inputs.feature_names.tolist() == inputs.input_names.tolist() == list("abc")
    with pytest.raises(ValueError, match="feature names should match"):
        inputs.read(frame[["b", "a", "c"]])
    with pytest.warns(UserWarning, match="but Model was fitted with feature names"):
        inputs.read(X)
    with pytest.raises(ValueError, match="X has 2 features, but Model is expecting 3 features"):
        fitted(X).read(X[:, :2])
    with pytest.raises(ValueError, match="minimum of 1 is required by Owner"):
        Inputs.describe(X[:0], owner=type("Owner", (), {}))


@pytest.mark.parametrize("scaler", ["standard", "whiten", MinMaxScaler(), None], ids=str)
@pytest.mark.parametrize("switches", [{}, SWITCHES], ids=["numbers", "table"])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))]
)
def test_copies_give_the_same(scaler, switches, copied):
    data = table() if switches else X
    inputs = fitted(data, scaler, **switches)
    expected = network_inputs(inputs, data)
    assert expected.dtype == np.float32
    again = copied(inputs)
    assert_array_equal(network_inputs(again, data), expected)
    assert_array_equal(again.input_names, inputs.input_names)
    with pytest.raises(FrozenInstanceError):
        again.scaler = None


def test_fitting_returns_another_object():
    inputs, read = Inputs.describe(table(), owner="Model", **SWITCHES)
    before = dict(vars(inputs))
    first = inputs.fitted(read[:20], None, "standard")
    second = inputs.fitted(read[20:], np.arange(20.0) + 1, "whiten")
    assert vars(inputs) == before
    assert not np.array_equal(network_inputs(first, table()), network_inputs(second, table()))


def test_codes_are_read_instead_of_categories():
    inputs = fitted(table(), **SWITCHES)
    read = inputs.read(table())
    assert_array_equal(inputs.is_categorical, [False, False, False, True])
    of_codes = inputs.of_codes()
    assert of_codes.feature_names is None
    assert_array_equal(of_codes.read(read), read)
    assert_array_equal(network_inputs(of_codes, read), network_inputs(inputs, table()))


def test_categories_of_further_rows():
    inputs, read = Inputs.describe(table(), owner="Model", **SWITCHES)
    others = table().assign(work="new")
    more = inputs.with_categories_of(others)
    assert np.isnan(inputs.read(others)[:, 3]).all()
    assert (more.read(others)[:, 3] == 3).all()
    assert "work_new" not in more.fitted(read, None, None).input_names
    both = np.vstack([read, more.read(others)])
    assert "work_new" in more.fitted(both, None, None).input_names
    plain = fitted(X)
    assert plain.with_categories_of(X) is plain


def test_a_part_is_encoded_when_it_is_read():
    inputs = fitted(table(), **SWITCHES)
    rows = np.array([5, 1])
    encoded = inputs.encoded(Source(inputs.read(table())).subset(rows))
    assert isinstance(encoded, Source)
    assert encoded.shape == (2, len(inputs.input_names))
    assert_array_equal(encoded[:], inputs.encoded(inputs.read(table()))[:][rows])


def test_what_is_known_of_the_scaler():
    inputs = fitted(X)
    scaled = network_inputs(inputs, X)
    affine = inputs.affine_map()
    np.testing.assert_allclose(X * affine.matrix + affine.shift, scaled, rtol=1e-5, atol=1e-6)
    assert fitted(X, FunctionTransformer(np.tanh)).affine_map() is None
    assert fitted(table(), **SWITCHES).affine_map() is None


def test_sparse_rows_stay_sparse():
    sparse = csr_array(np.where(X > 0.5, X, 0.0))
    inputs = fitted(sparse)
    x = inputs.scaled(inputs.read(sparse), np.float32)
    assert x.format == "csr"
    assert x.dtype == np.float32
    inputs.check_finite(x)


def test_what_the_scaler_makes_infinite_is_an_error():
    inputs = fitted(X, "whiten")
    message = "after scaler='whiten' and the conversion to float32"
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
        inputs.check_finite(inputs.scaled(1e300 * X, np.float32))
