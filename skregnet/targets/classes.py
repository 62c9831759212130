"""Class labels as the targets of a loss."""

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from ..functions.losses import CLASSIFICATION_LOSSES
from ..preprocessing.columns import is_missing


@dataclass(frozen=True)
class ClassTargets:
    """Targets of a classifier; immutable: what learns from data returns new targets.

    Parameters
    ----------
    label_smoothing, class_weight : float, dict or 'balanced' or None
        The constructor's parameters.
    classes : ndarray of shape (n_classes,), default=None
        Class labels; None before they were seen.
    target_type : str, default=None
        See `EncodedLabels`.
    """

    label_smoothing: float
    class_weight: Any
    classes: np.ndarray | None = None
    target_type: str | None = None

    is_classifier = True

    @property
    def loss(self):
        """What is minimised; it owns the link."""
        return CLASSIFICATION_LOSSES[self.target_type]

    def described(self, classes, target_type):
        """Return targets that know the classes and their type."""
        return replace(self, classes=classes, target_type=target_type)

    def read(self, y, classes=None):
        """Check and encode labels.

        Returns
        -------
        targets : ClassTargets
            It knows the classes.
        encoded, labels : ndarray
            See `EncodedLabels`.
        """
        encoded = encode_labels(y, classes, self.classes, self.target_type)
        targets = self.described(encoded.classes, encoded.target_type)
        return targets, encoded.targets, encoded.labels

    def check_rows(self, encoded, weight):
        """Do nothing: `read` has checked all."""

    def fitted(self, rows):
        """Return the same targets: nothing is learned from the training rows."""
        return self

    def for_loss(self, encoded, dtype):
        """Return a probability for each output, (n_samples, n_outputs)."""
        return targets_of_loss(
            encoded, len(self.classes), self.label_smoothing, self.target_type, dtype
        )

    def exact(self, rows):
        """Return None: no constant is exact."""
        return None

    def class_weights(self, rows):
        """Return the weight of the class of each row, or None."""
        if self.class_weight is None:
            return None
        return class_weights(self.class_weight, self.classes, rows, self.target_type)

    def stratify(self, rows):
        """Return the class of each row, or None for multilabel targets."""
        return None if self.target_type == "multilabel-indicator" else rows.labels

    def decision(self, raw):
        """Return raw scores; of an ensemble, the log-odds of the averaged probabilities."""
        if len(raw) == 1:
            decision = raw[0]
        elif self.target_type == "multiclass":
            decision = log_of_mean(self.loss.log_predict(raw))
        else:
            log_no, log_yes = map(log_of_mean, self.loss.log_predict(raw))
            decision = log_yes - log_no
        decision = decision.astype(raw.dtype, copy=False)
        return decision.ravel() if self.target_type == "binary" else decision

    def predict(self, raw):
        """Return class labels, or an indicator matrix of int."""
        decision = self.decision(raw)
        if self.target_type == "multiclass":
            return self.classes[decision.argmax(axis=1)]
        positive = (decision > 0).astype(int)
        return positive if self.target_type == "multilabel-indicator" else self.classes[positive]

    def proba(self, raw):
        """Return probabilities of the classes, the mean over the members."""
        return mean_proba(self.loss, raw, self.target_type).astype(raw.dtype, copy=False)

    def proba_of_each(self, raw):
        """Return probabilities of the classes, (members, n_samples, n_classes)."""
        proba = self.loss.predict(raw)
        if self.target_type == "binary":
            # 1 - p would round a small probability of the first class to zero.
            proba = np.concatenate([self.loss.predict(-raw), proba], axis=2)
        return proba

    def log_proba(self, raw):
        """Return logarithms of `proba`, finite where a probability itself underflows."""
        return log_mean_proba(self.loss, raw, self.target_type, raw.dtype)


@dataclass(frozen=True)
class EncodedLabels:
    """Labels and what stands for them.

    Parameters
    ----------
    target_type : {'binary', 'multiclass', 'multilabel-indicator'}
        A single class counts as 'multiclass': its probability is one.
    classes : ndarray of shape (n_classes,)
        Sorted labels; column numbers for multilabel targets.
    targets : ndarray of int of shape (n_samples, 1) or (n_samples, n_labels)
        Positions of the classes in `classes`; zeros and ones for multilabel targets. They take the
        smallest type that holds them, for there may be many rows.
    labels : ndarray of shape (n_samples,) or (n_samples, n_labels)
        The checked labels.
    """

    target_type: str
    classes: np.ndarray
    targets: np.ndarray
    labels: np.ndarray


def encode_labels(y, classes=None, known_classes=None, known_type=None):
    """Check and encode labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,), or indicator matrix of shape (n_samples, n_labels)
        Labels.
    classes : array-like of shape (n_classes,), default=None
        All labels that may occur; None takes those of `y`.
    known_classes : ndarray of shape (n_classes,), default=None
        Those of a network that is trained on; they cannot change.
    known_type : str, default=None
        Its target type; it cannot change either.

    Returns
    -------
    encoded : EncodedLabels

    Raises
    ------
    ValueError
        If `y` does not hold classes, or one that is not among `classes`, or none in some rows.
    """
    labels, found = _plain_labels(y)
    if found is None:
        _check_none_missing(y)
        with np.errstate(invalid="ignore"):  # NaN gives an error, not a warning about a cast
            check_classification_targets(y)
            target_type = type_of_target(y, input_name="y", raise_unknown=True)
        if target_type == "multiclass-multioutput":
            raise ValueError(
                "Unknown label type: y has several columns that are not 0 or 1. Use "
                "sklearn.multioutput.MultiOutputClassifier for several outputs of several classes."
            )
    else:
        target_type = "binary" if len(found) <= 2 else "multiclass"
    if known_type is not None and (target_type, known_type).count("multilabel-indicator") == 1:
        raise ValueError(f"y must hold {known_type} labels as before, got {target_type} labels.")
    if target_type == "multilabel-indicator":
        return _encode_indicators(y, classes, known_classes)
    if found is None:
        labels = column_or_1d(y, warn=True)
        found = unique_labels(labels)
    return _encode_classes(labels, found, classes, known_classes)


def _plain_labels(y):
    """Return the labels and their unique values where no more than that needs to be looked at.

    An array of integers or strings that repeat holds classes: it passes all of scikit-learn's
    checks, which take longer than training on a small table does.
    """
    if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biuU":
        found = np.unique(y)
        if 0 < len(found) <= 0.5 * len(y):
            # As `unique_labels` does: strings of the length that they need.
            return y, np.array(found.tolist()) if y.dtype.kind == "U" else found
    return None, None


def _check_none_missing(y):
    """Raise ValueError where labels are missing among objects, which type_of_target cannot sort.

    In a list NumPy would make text of NaN, and a class of it.
    """
    values = y
    if not isinstance(y, list):
        values = np.asarray(y)
        if values.dtype != object or values.ndim == 0 or values.size != len(values):
            return  # scikit-learn finds NaN among numbers
        values = values.ravel()
    missing = [i for i, value in enumerate(values) if is_missing(value)]
    if missing:
        raise ValueError(
            f"Input y contains NaN: the class is missing in {len(missing)} of {len(values)} rows, "
            f"the first of which is number {missing[0]}. Leave these rows out."
        )


def _encode_classes(labels, found, classes, known_classes):
    is_given = classes is not None or known_classes is not None
    classes = _consistent_classes(found, classes, known_classes)
    unknown = np.setdiff1d(found, classes) if is_given else ()
    if len(unknown):
        raise ValueError(
            f"y has the classes {unknown.tolist()}, which are not among classes="
            f"{classes.tolist()}: all classes must be known from the start, from the y of fit or "
            "the classes of the first partial_fit."
        )
    codes = np.searchsorted(classes, labels).astype(np.min_scalar_type(len(classes)))
    target_type = "binary" if len(classes) == 2 else "multiclass"
    return EncodedLabels(target_type, classes, codes[:, np.newaxis], labels)


def _encode_indicators(y, classes, known_classes):
    labels = check_array(y, accept_sparse="csr", dtype=None, input_name="y")
    labels = labels.toarray() if issparse(labels) else labels
    found = np.arange(labels.shape[1])
    classes = _consistent_classes(found, classes, known_classes)
    if len(classes) != len(found):
        raise ValueError(
            f"y must be an indicator matrix with one column for each of the {len(classes)} "
            f"classes, got {len(found)} columns."
        )
    targets = labels.astype(np.uint8)
    return EncodedLabels("multilabel-indicator", classes, targets, labels.astype(int))


def _consistent_classes(found, classes, known_classes):
    if classes is not None:
        classes = unique_labels(classes)
    if known_classes is None:
        return found if classes is None else classes
    if classes is not None and not np.array_equal(classes, known_classes):
        raise ValueError(
            f"classes={classes.tolist()} is not the same as on the last call, which had "
            f"{known_classes.tolist()}."
        )
    return known_classes


def class_weights(class_weight, classes, rows, target_type):
    """Weight of each row that stems from its class.

    Parameters
    ----------
    class_weight : dict or 'balanced'
        The constructor's parameter; classes that a dict leaves out have the weight one.
    classes : ndarray of shape (n_classes,)
        All classes.
    rows : Rows
        Labels and sample weights.
    target_type : str
        See `EncodedLabels`.

    Returns
    -------
    weight : ndarray of shape (n_samples,)
    """
    if target_type == "multilabel-indicator":
        raise ValueError(
            f"class_weight={class_weight!r} cannot be used with multilabel targets, where a row "
            "has no single class. Set class_weight=None and pass sample_weight."
        )
    codes = np.searchsorted(classes, rows.labels)
    if class_weight == "balanced":
        totals = np.bincount(codes, weights=rows.weight, minlength=len(classes))
        present = totals > 0
        per_class = np.zeros(len(classes))
        per_class[present] = totals.sum() / (np.count_nonzero(present) * totals[present])
        return per_class[codes]
    unknown = [label for label in class_weight if label not in classes]
    # A class that is not in this fold does no harm, but one that was meant to be here would.
    if unknown and any(label not in class_weight for label in classes.tolist()):
        raise ValueError(
            f"class_weight names the classes {unknown}, which are not among {classes.tolist()}. "
            "Use the labels of y as its keys."
        )
    if not all(
        isinstance(weight, Real) and 0 <= weight < np.inf for weight in class_weight.values()
    ):
        raise ValueError(
            f"class_weight must hold finite numbers that are not negative, got {class_weight!r}."
        )
    per_class = np.array([class_weight.get(label, 1.0) for label in classes.tolist()], float)
    return per_class[codes]


def targets_of_loss(encoded, n_classes, label_smoothing, target_type, dtype):
    """Return a probability for each output of the network.

    Parameters
    ----------
    encoded : ndarray of int of shape (n_samples, 1) or (n_samples, n_labels)
        See `EncodedLabels`.
    n_classes : int
        Number of classes or labels.
    label_smoothing : float
        Share of each target that is spread evenly over the classes (Szegedy et al. 2016).
    target_type : str
        See `EncodedLabels`.
    dtype : dtype
        That of the targets.

    Returns
    -------
    targets : ndarray of shape (n_samples, n_outputs)
        One column for two classes, else one for each class or label.
    """
    if target_type == "multiclass":
        is_on = encoded == np.arange(n_classes, dtype=encoded.dtype)
        off = label_smoothing / n_classes
    else:
        # Indicators may come in the order of Fortran, from which rows are slow to gather.
        is_on, off = np.ascontiguousarray(encoded, bool), label_smoothing / 2
    return np.where(is_on, dtype.type(1.0 - label_smoothing + off), dtype.type(off))


def mean_over_members(values):
    """Mean over the leading axis; of a single member, a view of its values."""
    return values[0] if len(values) == 1 else values.mean(axis=0)


def log_of_mean(log_proba):
    """Logarithm of the mean over the members of probabilities given as logarithms."""
    return np.logaddexp.reduce(log_proba, axis=0) - np.log(len(log_proba))


def mean_proba(loss, raw, target_type):
    """Probabilities of the classes, the mean over the members of `raw`."""
    if target_type == "binary":
        # 1 - p would round a small probability of the first class to zero.
        return mean_over_members(np.concatenate([loss.predict(-raw), loss.predict(raw)], axis=2))
    return mean_over_members(loss.predict(raw))


def log_mean_proba(loss, raw, target_type, dtype):
    """Logarithms of `mean_proba` in `dtype`, but finite where a probability underflows."""
    proba = mean_proba(loss, raw, target_type).astype(dtype, copy=False)
    is_normal = proba >= np.finfo(dtype).tiny
    if is_normal.all():
        return np.log(proba)
    log_proba = loss.log_predict(raw)
    if target_type == "binary":
        log_proba = np.concatenate(log_proba, axis=2)
    elif target_type == "multilabel-indicator":
        log_proba = log_proba[1]
    log_proba = log_of_mean(log_proba).astype(dtype, copy=False)
    return np.log(proba, out=log_proba, where=is_normal)
