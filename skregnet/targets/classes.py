"""Class labels: their encoding, their weights, and predictions of classes."""

from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from ..functions.losses import CLASSIFICATION_LOSSES
from ..preprocessing.columns import is_missing, is_time
from .real import check_is_given, mean_over_members


@dataclass(frozen=True, eq=False)
class ClassTargets:
    """Encodes class labels for the loss, and turns raw predictions into classes; immutable."""

    label_smoothing: float
    class_weight: dict | str | None
    owner: str  # the estimator's class name, for messages
    classes: np.ndarray | None = None  # sorted labels, or column numbers of multilabel targets
    # 'binary', 'multiclass' or 'multilabel-indicator'. A single class is 'multiclass'.
    target_type: str | None = None
    # Raw scores are divided by it. Training does not know it: its losses are those of one.
    temperature: float = 1.0

    is_classifier = True
    name_out_of_fold = "oob_decision_function_"  # of the attribute, as in random forests

    def continued(self, unfitted):
        """Return these classes with the weights and the smoothing of a later fit."""
        return replace(unfitted, classes=self.classes, target_type=self.target_type)

    @property
    def loss(self):
        """The loss for targets of this type."""
        return CLASSIFICATION_LOSSES[self.target_type]

    def read(self, y, classes=None, name="y", same_classes=False):
        """Check labels; return targets that know the classes, encoded labels, checked labels.

        `classes` lists all labels that may occur; None stands for the known classes, or else those
        of `y`. Encoded labels are positions in `classes`, (n_samples, 1), or multilabel indicators,
        in a small integer type. `name` is the name of the argument, for messages. With
        `same_classes`, `y` must have exactly the known classes.
        """
        check_is_given(y, self.owner)
        found, target_type = _classes_and_type(y, name)
        is_multilabel = target_type == "multilabel-indicator"
        if self.classes is not None and is_multilabel != self._is_multilabel:
            raise ValueError(
                f"{name} must hold {self.target_type} labels as {'before' if name == 'y' else 'y'}"
                f", got {target_type} labels."
            )
        if is_multilabel:
            labels = check_array(y, accept_sparse="csr", dtype=None, input_name="y")
            labels = labels.toarray() if issparse(labels) else labels
            found = np.arange(labels.shape[1])
        elif found is None:
            labels = column_or_1d(y, warn=True)
            found = unique_labels(labels)
        else:
            labels = y
        if same_classes and not is_multilabel and not np.array_equal(found, self.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes}, `y` has {found}. For rows that lack "
                "some of the classes use partial_fit."
            )
        classes = self._all_classes(found, classes)
        if is_multilabel:
            if len(classes) != len(found):
                raise ValueError(
                    "y must be an indicator matrix with one column for each of the "
                    f"{len(classes)} classes, got {len(found)} columns."
                )
            encoded, labels = labels.astype(np.uint8), labels.astype(int)
        else:
            unknown = () if classes is found else np.setdiff1d(found, classes)
            if len(unknown):
                raise ValueError(
                    f"y has the classes {unknown.tolist()}, which are not among classes="
                    f"{classes.tolist()}: all classes must be known from the start, from the y of "
                    "fit or the classes of the first partial_fit."
                )
            codes = np.searchsorted(classes, labels).astype(np.min_scalar_type(len(classes)))
            encoded = codes[:, np.newaxis]
            target_type = "binary" if len(classes) == 2 else "multiclass"
        if self.classes is not None:
            return self, encoded, labels
        return replace(self, classes=classes, target_type=target_type), encoded, labels

    @property
    def has_calibration(self):
        """Whether held-out rows give sets of classes: not for multilabel targets."""
        return not self._is_multilabel

    @property
    def _is_multilabel(self):
        return self.target_type == "multilabel-indicator"

    def _all_classes(self, found, classes):
        """Return the known classes, or the argument `classes`, or those that were found."""
        if classes is not None and np.ndim(classes) != 1:
            raise ValueError(f"classes must list the labels in one dimension, got {classes!r}.")
        if classes is not None:
            classes = unique_labels(classes)
        if self.classes is None:
            return found if classes is None else classes
        if classes is not None and not np.array_equal(classes, self.classes):
            raise ValueError(
                f"classes={classes.tolist()} is not the same as on the last call, which had "
                f"{self.classes.tolist()}."
            )
        return self.classes

    def check_rows(self, encoded, weight):
        """Do nothing: `read` has checked the labels."""

    def known(self, encoded):
        """Return None, because no label may be missing."""
        return None

    def fitted(self, rows, is_stream=False):
        """Return the same targets, because classes have no scaling."""
        return self

    def with_rows(self, rows):
        """Return the same targets, because classes have no scaling."""
        return self

    def for_loss(self, encoded, dtype):
        """Return a probability for each output of the network, C-contiguous.

        Label smoothing spreads a share of each evenly over the classes (Szegedy et al. 2016).
        """
        amount = self.label_smoothing
        if self.target_type == "multiclass":
            is_on = encoded == np.arange(len(self.classes), dtype=encoded.dtype)
            off = amount / len(self.classes)
        else:
            # Indicators may be in Fortran order, from which rows are slow to gather.
            is_on, off = np.ascontiguousarray(encoded, bool), amount / 2
        dtype = np.dtype(dtype)
        return np.where(is_on, dtype.type(1.0 - amount + off), dtype.type(off))

    def spread_for_loss(self, encoded, weight):
        """Return None, because classes have no unit."""
        return None

    def class_weights(self, rows):
        """Return the weight of the class of each row, (n_samples,), or None without `class_weight`.

        Classes that a dict leaves out have the weight one.
        """
        class_weight, classes = self.class_weight, self.classes
        if class_weight is None:
            return None
        if self._is_multilabel:
            raise ValueError(
                f"class_weight={class_weight!r} cannot be used with multilabel targets, whose "
                "rows have no single class. Set class_weight=None and pass sample_weight."
            )
        codes = np.searchsorted(classes, rows.labels)
        if class_weight == "balanced":
            totals = np.bincount(codes, weights=rows.weight, minlength=len(classes))
            present = totals > 0
            per_class = np.zeros(len(classes))
            per_class[present] = totals.sum() / (np.count_nonzero(present) * totals[present])
            return per_class[codes]
        unknown = [label for label in class_weight if label not in classes]
        # An unknown key is a class that this fold lacks, unless a class has no weight: then the key
        # was probably meant for it.
        if unknown and any(label not in class_weight for label in classes.tolist()):
            raise ValueError(
                f"class_weight names the classes {unknown}, which are not among "
                f"{classes.tolist()}. Use the labels of y as its keys."
            )
        weights = class_weight.values()
        if not all(isinstance(weight, Real) and 0 <= weight < np.inf for weight in weights):
            raise ValueError(
                "class_weight must hold finite numbers that are not negative, got "
                f"{class_weight!r}."
            )
        per_class = [class_weight.get(label, 1.0) for label in classes.tolist()]
        return np.array(per_class, float)[codes]

    def stratify(self, rows):
        """Return the labels whose frequencies a split keeps, or None for multilabel targets."""
        return None if self._is_multilabel else rows.labels

    def exact(self, rows):
        """Return None, because no constant predicts a class exactly."""
        return None

    def _tempered(self, raw):
        return raw if self.temperature == 1.0 else raw / self.temperature

    def scores(self, raw):
        """Return the mean raw scores over the members, (n_samples, n_outputs), by temperature.

        A mean of log-odds keeps the ensemble a network: raw scores, their logarithms and
        probabilities are all those of one wide network.
        """
        return self._tempered(mean_over_members(raw))

    def decision(self, raw):
        """Return the decision function of raw predictions, as the classifier does."""
        scores = self.scores(raw)
        return scores.ravel() if self.target_type == "binary" else scores

    def predict(self, raw):
        """Return the predicted labels for raw predictions, (members, n_samples, n_outputs)."""
        decision = self.decision(raw)
        if self.target_type == "multiclass":
            return self.classes[decision.argmax(axis=1)]
        positive = (decision > 0).astype(int)
        return positive if self._is_multilabel else self.classes[positive]

    def member_proba(self, raw):
        """Return the probabilities of each member, (members, n_samples, n_classes)."""
        return self._proba_of(self._tempered(raw))

    def _proba_of(self, scores):
        if self.target_type == "binary":
            # 1 - p would round a small probability of the first class to zero.
            return np.concatenate([self.loss.predict(-scores), self.loss.predict(scores)], axis=-1)
        return self.loss.predict(scores)

    def proba(self, raw):
        """Return the probabilities for the mean raw scores, (n_samples, n_classes).

        They are never 0 or 1, unless there is a single class: their logarithms are finite.
        """
        proba = self._proba_of(self.scores(raw))
        if len(self.classes) > 1 or self._is_multilabel:
            info = np.finfo(raw.dtype)
            np.clip(proba, info.tiny, 1.0 - info.epsneg, out=proba)
        return proba

    def predict_and_score(self, raw, rows):
        """Return the probabilities of raw predictions of rows, and their accuracy.

        `raw` is (n_samples, n_outputs), NaN for rows that have no prediction.
        """
        known = ~np.isnan(raw[:, 0])
        proba = np.full((len(raw), len(self.classes)), np.nan, raw.dtype)
        proba[known] = self.proba(raw[np.newaxis, known])
        weight = None if rows.weight is None else rows.weight[known]
        predicted = self.predict(raw[np.newaxis, known])
        return proba, float(accuracy_score(rows.labels[known], predicted, sample_weight=weight))

    def log_proba(self, raw):
        """Return the logarithms of `proba`."""
        return np.log(self.proba(raw))


def _classes_and_type(y, name):
    """Return the unique labels, or None if they are not found yet, and scikit-learn's type of `y`.

    ValueError is raised if labels are missing or no classes.
    """
    # An array of integers or strings that repeat passes all checks of scikit-learn, which would
    # take longer than training on a small table.
    if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biuU":
        found = np.unique(y)
        if 0 < len(found) <= 0.5 * len(y):
            # As in `unique_labels`, strings have the length of the longest.
            found = np.array(found.tolist()) if y.dtype.kind == "U" else found
            return found, "binary" if len(found) <= 2 else "multiclass"
    # `type_of_target` cannot sort missing objects. NumPy would convert NaN in a list of strings to
    # the string 'nan', which would become a class. scikit-learn finds NaN among numbers.
    values = y
    if not isinstance(y, list):
        values = np.asarray(y)
        can_miss = values.dtype.kind in "OmMf"
        is_column = can_miss and values.ndim > 0 and values.size == len(values)
        values = values.ravel() if is_column else ()
    if getattr(values, "dtype", np.dtype(object)).kind in "mMf":
        missing = np.flatnonzero(np.isnan(values))
    else:
        missing = [i for i, value in enumerate(values) if is_missing(value)]
    if len(missing):
        raise ValueError(
            f"Input {name} contains NaN: the class is missing in {len(missing)} of {len(values)} "
            f"rows, the first of which is number {missing[0]}. Leave these rows out."
        )
    with np.errstate(invalid="ignore"):  # NaN raises an error, without a warning of a cast
        first = next(iter(values), None)
        if is_time(first) and type_of_target(y) == "unknown":
            raise ValueError(
                f"Unknown label type: {name} holds points in time or durations, such as {first!r}. "
                "Convert them to strings."
            )
        _check_are_classes(y)
        target_type = type_of_target(y, input_name=name, raise_unknown=True)
    if target_type == "multiclass-multioutput":
        raise ValueError(
            "Unknown label type: y has several columns that are not 0 or 1. Use "
            "sklearn.multioutput.MultiOutputClassifier for several outputs of several classes."
        )
    return None, target_type


def _check_are_classes(y):
    try:
        check_classification_targets(y)
    except ValueError as error:
        if not type_of_target(y).startswith("continuous"):
            raise
        raise ValueError(f"{error} Did you mean RegularizedMLPRegressor?") from None
