"""Class labels: their encoding, their weights, and predictions of classes."""

from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from ..functions.losses import CLASSIFICATION_LOSSES
from ..preprocessing.columns import is_missing
from .averages import log_of_mean, mean_over_members
from .real import check_is_given


@dataclass(frozen=True, eq=False)
class ClassTargets:
    """Class labels, their encoding for the loss, and the way back from raw predictions.

    Nothing of it is ever changed: methods return new objects.

    Parameters
    ----------
    label_smoothing : float
        Share of each target that is spread evenly over the classes (Szegedy et al. 2016).
    class_weight : dict, 'balanced' or None
        The parameter of the classifier.
    owner : str
        Name of the class of the estimator, for messages.
    classes : ndarray of shape (n_classes,), default=None
        Sorted labels, or column numbers of multilabel targets. None before `read`.
    target_type : {'binary', 'multiclass', 'multilabel-indicator'}, default=None
        A single class counts as 'multiclass': its probability is one. None before `read`.
    """

    label_smoothing: float
    class_weight: dict | str | None
    owner: str
    classes: np.ndarray | None = None
    target_type: str | None = None

    is_classifier = True

    @classmethod
    def unfitted(cls, label_smoothing, class_weight, owner):
        """Return targets of which no label has been seen."""
        return cls(label_smoothing, class_weight, owner)

    def continued(self, unfitted):
        """Return these classes with the weights and the smoothing of a later fit."""
        return replace(unfitted, classes=self.classes, target_type=self.target_type)

    @property
    def loss(self):
        """The loss for targets of this type."""
        return CLASSIFICATION_LOSSES[self.target_type]

    @property
    def n_outputs_of_network(self):
        """Number of raw predictions for a row."""
        return 1 if self.target_type == "binary" else len(self.classes)

    def read(self, y, classes=None):
        """Check and encode labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,), or indicator matrix of shape (n_samples, n_labels)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All labels that may occur. None takes those that are known, or else those of `y`.

        Returns
        -------
        targets : ClassTargets
            With `classes` and `target_type`. If these are known already, `y` must agree.
        encoded : ndarray of int of shape (n_samples, 1) or (n_samples, n_labels)
            Positions of the labels in `classes`, or zeros and ones of multilabel targets, in the
            smallest type that holds them.
        labels : ndarray of shape (n_samples,) or (n_samples, n_labels)
            The checked labels.

        Raises
        ------
        ValueError
            If `y` does not hold classes, or unknown ones, or if labels are missing.
        """
        check_is_given(y, self.owner)
        found, target_type, encoded, labels = _encode(y, classes, self.classes, self.target_type)
        targets = self
        if self.classes is None:
            targets = replace(self, classes=found, target_type=target_type)
        return targets, encoded, labels

    def check_rows(self, encoded, weight):
        """Labels need no check beside those of `read`."""

    def fitted(self, rows):
        """Return the same targets: classes have no scaling."""
        return self

    def for_loss(self, encoded, dtype):
        """Return a probability for each output of the network.

        Parameters
        ----------
        encoded : ndarray of int of shape (n_samples, 1) or (n_samples, n_labels)
            See `read`.
        dtype : dtype
            Of what is returned.

        Returns
        -------
        targets : ndarray of shape (n_samples, n_outputs)
            One column for two classes, else one for each class or label. C-contiguous.
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

    def class_weights(self, rows):
        """Return the weight of each row that its class has by `class_weight`, or None.

        Parameters
        ----------
        rows : Rows
            Labels and sample weights.

        Returns
        -------
        weight : ndarray of shape (n_samples,) or None
            A dict may leave classes out: their weight is one.

        Raises
        ------
        ValueError
            If `class_weight` does not fit the labels.
        """
        class_weight, classes = self.class_weight, self.classes
        if class_weight is None:
            return None
        if self.target_type == "multilabel-indicator":
            raise ValueError(
                f"class_weight={class_weight!r} cannot be used with multilabel targets, where a "
                "row has no single class. Set class_weight=None and pass sample_weight."
            )
        codes = np.searchsorted(classes, rows.labels)
        if class_weight == "balanced":
            totals = np.bincount(codes, weights=rows.weight, minlength=len(classes))
            present = totals > 0
            per_class = np.zeros(len(classes))
            per_class[present] = totals.sum() / (np.count_nonzero(present) * totals[present])
            return per_class[codes]
        _check_class_weight(class_weight, classes)
        per_class = [class_weight.get(label, 1.0) for label in classes.tolist()]
        return np.array(per_class, float)[codes]

    def stratify(self, rows):
        """Return the labels that a split keeps the shares of, or None for multilabel targets."""
        return None if self.target_type == "multilabel-indicator" else rows.labels

    def exact(self, rows):
        """Return None: there are no targets whose best constant is exact."""
        return None

    def decision(self, raw):
        """Return the decision function of raw predictions.

        Parameters
        ----------
        raw : ndarray of shape (members, n_samples, n_outputs)
            Raw predictions.

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            See `RegularizedMLPClassifier.decision_function`.
        """
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
        """Return the labels that raw predictions, (members, n_samples, n_outputs), stand for."""
        decision = self.decision(raw)
        if self.target_type == "multiclass":
            return self.classes[decision.argmax(axis=1)]
        positive = (decision > 0).astype(int)
        return positive if self.target_type == "multilabel-indicator" else self.classes[positive]

    def member_proba(self, raw):
        """Return the probabilities of each member, (members, n_samples, n_classes)."""
        if self.target_type == "binary":
            # 1 - p would round a small probability of the first class to zero.
            return np.concatenate([self.loss.predict(-raw), self.loss.predict(raw)], axis=2)
        return self.loss.predict(raw)

    def proba(self, raw):
        """Return the mean over the members of the probabilities, (n_samples, n_classes)."""
        return mean_over_members(self.member_proba(raw)).astype(raw.dtype, copy=False)

    def log_proba(self, raw):
        """Return the logarithms of `proba`, which are finite if a probability underflows."""
        proba = self.proba(raw)
        is_normal = proba >= np.finfo(raw.dtype).tiny
        if is_normal.all():
            return np.log(proba)
        log_proba = self.loss.log_predict(raw)
        if self.target_type == "binary":
            log_proba = np.concatenate(log_proba, axis=2)
        elif self.target_type == "multilabel-indicator":
            log_proba = log_proba[1]
        log_proba = log_of_mean(log_proba).astype(raw.dtype, copy=False)
        return np.log(proba, out=log_proba, where=is_normal)


def _encode(y, classes, known_classes, known_type):
    """Return the classes, the type of the targets, and codes and labels as `read` does."""
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
    """Return the labels and their unique values, or None twice if they need scikit-learn's checks.

    An array of integers or strings that repeat passes all of these checks, which take longer than
    training on a small table.
    """
    if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biuU":
        found = np.unique(y)
        if 0 < len(found) <= 0.5 * len(y):
            # As `unique_labels` does: strings of the length that they need.
            return y, np.array(found.tolist()) if y.dtype.kind == "U" else found
    return None, None


def _check_none_missing(y):
    """Raise ValueError if labels are missing among objects, which type_of_target cannot sort.

    NumPy would turn NaN in a list of strings into text, which would become a class.
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
    return classes, target_type, codes[:, np.newaxis], labels


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
    return classes, "multilabel-indicator", labels.astype(np.uint8), labels.astype(int)


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


def _check_class_weight(class_weight, classes):
    """Raise ValueError if a dict has other keys than classes, or other values than weights."""
    unknown = [label for label in class_weight if label not in classes]
    # All classes may have a weight and some be absent from this fold. If one has none, the unknown
    # key was probably meant for it.
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
