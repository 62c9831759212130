"""How an estimator shows itself: diagrams in notebooks, tags, and requests of metadata."""

import html
import inspect
import re

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, StandardScaler
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.fixes import parse_version

import skregnet
from factories import inputs
from skregnet import RegularizedMLPClassifier, RegularizedMLPRegressor, WhiteningScaler
from skregnet import _sklearn_compat as documentation
from skregnet.functions.losses import REGRESSION_LOSSES

ESTIMATORS = (RegularizedMLPClassifier, RegularizedMLPRegressor)
BOTH = pytest.mark.parametrize("Estimator", ESTIMATORS)
VERSION = parse_version(sklearn.__version__)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = inputs(40)
ROOT = "https://docs.example/"


def small(Estimator, **parameters):
    return Estimator((4,), **{"max_iter": 2, "random_state": 0, **parameters})


def target(Estimator):
    return (X[:, 0] > 0).astype(int) if Estimator is RegularizedMLPClassifier else X[:, 0]


# ---- diagrams ----------------------------------------------------------------------------------


@pytest.fixture
def published(monkeypatch):
    """The documentation has an address."""
    monkeypatch.setattr(documentation, "DOCUMENTATION_ROOT", ROOT)


def links(text):
    return [html.unescape(link) for link in re.findall(r'href="([^"]+)"', text)]


@BOTH
def test_a_diagram_has_colours_for_what_is_fitted(Estimator):
    model = small(Estimator)
    for expected in ("", " fitted"):
        text = model._repr_html_()
        assert Estimator.__name__ in text
        assert set(re.findall(r'class="sk-estimator( fitted)?[ "]', text)) == {expected}
        model.fit(X, target(Estimator))


def test_a_diagram_in_a_pipeline_shows_the_scaler_of_the_network(published):
    model = make_pipeline(StandardScaler(), small(RegularizedMLPRegressor, scaler=MaxAbsScaler()))
    text = estimator_html_repr(model)
    assert text.count("<div") == text.count("</div>")
    for name in ("StandardScaler", "RegularizedMLPRegressor", "MaxAbsScaler"):
        assert name in text
    assert f"{ROOT}generated/skregnet.RegularizedMLPRegressor.html" in links(text)


@pytest.mark.parametrize(
    "name", [n for n in skregnet.__all__ if inspect.isclass(getattr(skregnet, n))]
)
def test_links_lead_to_the_page_of_the_class(name, published):
    cls = getattr(skregnet, name)
    if not issubclass(cls, BaseEstimator):
        pytest.skip("no estimator")
    # Some need an estimator to be constructed; the link is the class's.
    assert cls.__new__(cls)._get_doc_link() == f"{ROOT}generated/skregnet.{name}.html"


def test_there_are_no_links_to_pages_that_are_not_there(published, monkeypatch):
    class Derived(RegularizedMLPRegressor):
        pass

    assert Derived()._get_doc_link() == ""  # a user's own class has no page here
    monkeypatch.setattr(documentation, "DOCUMENTATION_ROOT", "")
    assert RegularizedMLPRegressor()._get_doc_link() == ""
    assert links(RegularizedMLPRegressor()._repr_html_()) == []


def test_the_root_of_the_documentation_is_an_address_or_empty():
    assert re.fullmatch(r"(https://.+/)?", documentation.DOCUMENTATION_ROOT)


@pytest.mark.skipif(VERSION < parse_version("1.8"), reason="scikit-learn 1.8 has introduced them")
@pytest.mark.parametrize("Estimator", [*ESTIMATORS, WhiteningScaler])
def test_every_parameter_has_its_description(Estimator, published):
    text = Estimator()._repr_html_()
    described = re.findall(
        r'class="param-doc-description"[^>]*>\s*(\w+): (.+?)</span>', text, re.DOTALL
    )
    names = list(inspect.signature(Estimator).parameters)
    assert sorted(name for name, _ in described) == sorted(names)
    assert all(len(re.sub("<br>", " ", description)) > 20 for _, description in described)
    # Each links to its own place on the page.
    fragments = [link.partition("#:~:text=")[2] for link in links(text)]
    assert sorted(f.partition(",")[0] for f in fragments if f) == sorted(names)


@pytest.mark.skipif(VERSION < parse_version("1.9"), reason="scikit-learn 1.9 has introduced it")
@BOTH
@pytest.mark.parametrize("parameters", [{}, {"batch_norm": True, "n_estimators": 2}], ids=str)
def test_every_fitted_attribute_has_its_description(Estimator, parameters, published):
    model = small(Estimator, **parameters).fit(X, target(Estimator))
    table = model._get_fitted_attr_html(doc_link=model._get_doc_link())
    assert {"coefs_", "loss_curve_", "scaler_", "network_"} <= set(table)
    text = table._repr_html_()
    described = re.findall(r'class="param-doc-description"[^>]*>\s*(\w+):', text)
    assert sorted(described) == sorted(table)
    assert "object at 0x" not in repr(model.network_)


def test_text_shows_what_was_changed():
    model = RegularizedMLPClassifier(dropout=0.5, scaler=None)
    assert repr(model) == "RegularizedMLPClassifier(dropout=0.5, scaler=None)"
    assert len(repr(RegularizedMLPRegressor(hidden_layer_sizes=list(range(1, 500))))) < 800
    assert repr(small(RegularizedMLPRegressor).fit(X, X[:, 0]).network_) == (
        "Network(3-4-1, members=1)"
    )


# ---- tags say what happens ---------------------------------------------------------------------


class Untagged:
    """A transformer that knows nothing of scikit-learn."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.asarray(X)

    def get_params(self, deep=True):
        return {}

    def set_params(self):
        return self


class Halves(TransformerMixin, BaseEstimator):
    """A user's transformer for dense arrays."""

    def fit(self, X, y=None):
        if sp.issparse(X):
            raise TypeError("dense arrays only")
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return X / 2


SCALERS = {
    "standard": "standard",
    "whiten": "whiten",
    "none": None,
    "standardising": StandardScaler(),
    "not centring": StandardScaler(with_mean=False),
    "largest value": MaxAbsScaler(),
    "range": MinMaxScaler(),
    "singular values": TruncatedSVD(2, random_state=0),
    "user's": Halves(),
    "without tags": Untagged(),
    "pipeline": make_pipeline(MaxAbsScaler(), StandardScaler(with_mean=False)),
    "dense pipeline": make_pipeline(MaxAbsScaler(), StandardScaler()),
    "white": WhiteningScaler(),
}


@BOTH
@pytest.mark.parametrize("name", SCALERS)
def test_the_sparse_tag_says_whether_sparse_rows_are_learned(Estimator, name):
    model = small(Estimator, scaler=SCALERS[name])
    says = get_tags(model).input_tags.sparse
    try:
        model.fit(sp.csr_array(X), target(Estimator)).predict(sp.csr_array(X))
    except (TypeError, ValueError):
        fits = False
    else:
        fits = True
    if VERSION >= parse_version("1.7"):
        assert says is fits
    else:  # scikit-learn 1.6 denied it for many of its own
        assert fits or not says
    model.fit(X, target(Estimator))  # dense ones always are


@BOTH
@pytest.mark.parametrize("wrong", [5, StandardScaler, "no such"])
def test_tags_need_no_valid_parameters(Estimator, wrong):
    assert get_tags(small(Estimator, scaler=wrong)).estimator_type in ("classifier", "regressor")


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2.0}])
def test_the_tag_of_several_labels(class_weight):
    model = small(RegularizedMLPClassifier, class_weight=class_weight)
    Y = (X > 0).astype(int)
    if get_tags(model).classifier_tags.multi_label:
        assert model.fit(X, Y).predict(X).shape == Y.shape
    else:
        with pytest.raises(ValueError, match="cannot be used with multilabel"):
            model.fit(X, Y)
    assert get_tags(model).classifier_tags.multi_class
    assert model.fit(X, np.digitize(X[:, 0], [-0.5, 0.5])).predict_proba(X).shape == (40, 3)


def regressors_of_each_loss():
    needed = {"quantile": {"quantile": 0.5}}
    known = inspect.signature(RegularizedMLPRegressor).parameters
    for loss in REGRESSION_LOSSES:
        parameters = {k: v for k, v in needed.get(loss, {}).items() if k in known}
        yield pytest.param({"loss": loss, **parameters}, id=str(loss))


@pytest.mark.parametrize("parameters", list(regressors_of_each_loss()))
def test_the_tags_of_targets(parameters):
    model = small(RegularizedMLPRegressor, **parameters)
    tags = get_tags(model).target_tags
    assert tags.required
    assert tags.single_output
    Y = np.abs(X[:, :2]) + 0.1
    model.fit(X, Y[:, 0])
    if tags.multi_output:
        assert model.fit(X, Y).predict(X).shape == Y.shape
    else:
        with pytest.raises(ValueError, match=r"\by\b"):
            model.fit(X, Y)
    if tags.positive_only:
        with pytest.raises(ValueError, match=r"y must (not be negative|be positive)"):
            model.fit(X, -Y[:, 0])
    elif parameters["loss"] not in ("poisson", "gamma"):
        model.fit(X, -Y[:, 0])


@BOTH
@pytest.mark.parametrize("parameters", [{}, {"handle_missing": "error"}], ids=str)
def test_the_tags_of_inputs(Estimator, parameters):
    model = small(Estimator, **parameters)
    tags = get_tags(model)
    missing = X.copy()
    missing[3, 1] = np.nan
    assert not tags.input_tags.positive_only
    assert not tags.input_tags.pairwise
    assert model.fit(X, target(Estimator))  # negative values are there
    if tags.input_tags.allow_nan:
        model.fit(missing, target(Estimator)).predict(missing)
    else:
        with pytest.raises(ValueError, match="NaN"):
            model.fit(missing, target(Estimator))


@BOTH
@pytest.mark.parametrize(
    "parameters",
    [{}, {"dropout": 0.3}, {"solver": "lbfgs"}, {"n_estimators": 2}, {"early_stopping": True}],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Early stopping goes by only:UserWarning")
def test_the_tag_of_determinism(Estimator, parameters):
    first, second = (
        small(Estimator, **parameters).fit(X, target(Estimator)).predict(X) for _ in range(2)
    )
    assert not get_tags(small(Estimator, **parameters)).non_deterministic
    np.testing.assert_array_equal(first, second)


# ---- requests of metadata ----------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("enabled", [True, False])
def test_requests_name_what_the_methods_take(Estimator, enabled):
    # They are what can be routed: all arguments but X, y and classes of scikit-learn's own checks.
    with sklearn.config_context(enable_metadata_routing=enabled):
        model = Estimator()
        requests = model.get_metadata_routing()._serialize()
        for method, request in requests.items():
            taken = set(inspect.signature(getattr(Estimator, method)).parameters)
            assert set(request) == taken - {"self", "X", "y"}
            # Groups are asked for as everywhere in scikit-learn, the rest by the user.
            assert {name for name, value in request.items() if value} <= {"groups"}
        assert {"fit", "score", "partial_fit"} <= set(requests)
        assert {"sample_weight", "X_val", "y_val", "sample_weight_val"} <= set(requests["fit"])
        if enabled:
            model.set_fit_request(sample_weight=True, X_val="validation")
            request = model.get_metadata_routing()._serialize()["fit"]
            assert (request["sample_weight"], request["X_val"]) == (True, "validation")
        else:
            with pytest.raises(RuntimeError, match="enable_metadata_routing"):
                model.set_fit_request(sample_weight=True)


@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_requests_of_methods_that_are_not_there(Estimator, solver):
    # The routing is asked of every estimator of a search, whatever its solver.
    requests = Estimator(solver=solver).get_metadata_routing()._serialize()
    assert "sample_weight" in requests["fit"]
