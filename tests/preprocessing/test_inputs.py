"""Features, encoder and scaler in one object, without an estimator."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import bsr_array, coo_array, csc_array, csr_array, csr_matrix
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from skregnet import RegularizedMLPClassifier
from skregnet.data import Source
from skregnet.preprocessing.inputs import Inputs

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*Maximum iterations:sklearn.exceptions.ConvergenceWarning"
)

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
    assert (inputs.read(others)[:, 3] < 0).all()
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


# ---- sparse rows with entries in parts -----------------------------------------------------------


def counts_in_parts(make, dtype=np.float64):
    """Word counts with an entry of one for each token, and the same counts as a dense array."""
    rng = np.random.default_rng(0)
    rows, words = (
        np.sort(rng.integers(100, size=900)),
        rng.choice(6, 900, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05]),
    )
    dense = np.zeros((100, 6))
    np.add.at(dense, (rows, words), 1.0)
    ones = np.ones(900, dtype)
    if make is coo_array:
        return coo_array((ones, (rows, words)), shape=dense.shape), dense
    if make is csc_array:
        order = np.argsort(words, kind="stable")
        rows, words = words[order], rows[order]
    starts = np.searchsorted(rows, np.arange((6 if make is csc_array else 100) + 1))
    if make is bsr_array:
        return bsr_array((ones.reshape(-1, 1, 1), words, starts), shape=dense.shape), dense
    return make((ones, words, starts), shape=dense.shape), dense


FORMATS = pytest.mark.parametrize("make", [csr_array, csr_matrix, csc_array, bsr_array, coo_array])


@FORMATS
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_entries_that_are_stored_in_parts_are_summed(make, dtype):
    X, dense = counts_in_parts(make, dtype)
    assert X.nnz == 900
    before = X.data.copy()
    inputs, read = Inputs.describe(X, owner="Model")
    assert_array_equal(read.toarray(), dense)
    scaler = inputs.fitted(read, None, "standard").scaler
    expected = Inputs.describe(csr_array(dense), owner="Model")[0]
    expected = expected.fitted(csr_array(dense, dtype=read.dtype), None, "standard").scaler
    np.testing.assert_allclose(scaler.scale_, expected.scale_, rtol=1e-6)
    assert_array_equal(X.data, before)
    assert X.nnz == inputs.read(X).nnz + 900 - np.count_nonzero(dense)


@FORMATS
def test_a_network_takes_entries_in_parts_as_their_sum(make):
    X, dense = counts_in_parts(make)
    y = (dense[:, 0] > dense[:, 1]).astype(int)
    options = {"max_iter": 3, "input_dropout": 0.3, "random_state": 0}
    model, expected = (RegularizedMLPClassifier((5,), **options) for _ in range(2))
    for _ in range(2):
        model.partial_fit(X, y, classes=[0, 1])
        expected.partial_fit(csr_array(dense), y, classes=[0, 1])
    assert_array_equal(model.predict_proba(X), expected.predict_proba(csr_array(dense)))
    X_val = {"X_val": X, "y_val": y}
    model.fit(X, y, **X_val)
    expected.fit(csr_array(dense), y, X_val=csr_array(dense), y_val=y)
    assert model.validation_loss_curve_ == expected.validation_loss_curve_
    assert_array_equal(model.decision_function(X), expected.decision_function(csr_array(dense)))


def test_parts_that_are_too_large_together_are_an_error():
    X = csr_array((np.full(4, 1e308), [0, 0, 1, 0], [0, 2, 4]), shape=(2, 2))
    with pytest.raises(ValueError, match="infinity"):
        Inputs.describe(X, owner="Model")


def test_entries_in_another_order_are_not_copied():
    X = csr_array((np.arange(1.0, 5.0), [1, 0, 1, 0], [0, 2, 4]), shape=(2, 2))
    assert np.shares_memory(Inputs.describe(X, owner="Model")[1].data, X.data)
