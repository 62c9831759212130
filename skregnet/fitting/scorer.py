"""The validation score that early stopping monitors in place of the loss."""

from dataclasses import replace

import numpy as np
from sklearn.metrics import check_scoring, get_scorer_names

from ..model import FittedModel
from .calibration import noise_before
from .hints import hint_for_name
from .result import Continuation


def make_scorer(run):
    """Return a function (network, rows, finite) -> scores of the members, or None for the loss.

    Members whose predictions are not `finite` get NaN: scorers raise errors for such predictions.
    """
    settings, scoring = run.settings, run.settings.scoring
    if scoring == "loss":
        return None
    scorer = _checked(settings.estimator(), scoring)
    hint = _hint(scoring, run)
    inputs, noise = run.inputs.of_codes(), noise_before(run)
    known = {"do_early_stopping_": run.plan.stops_early, "refit_": False, **settings.resolved}
    continuation = _continuation(run)
    numbers = _numbers(run)

    def score(network, rows, number):
        predictor = settings.estimator(
            _model=FittedModel(inputs, network, run.targets, noise),
            _continuation=replace(
                continuation, started_as=None if number is None else np.array([number])
            ),
            **known,
        )
        weight = {} if rows.weight is None else {"sample_weight": rows.weight}
        try:
            value = float(scorer(predictor, rows.X, rows.labels, **weight))
        except (TypeError, ValueError) as error:
            reason = f"{str(error).rstrip('.')}.{hint}" if hint else error
            raise ValueError(
                f"{_shown(scoring)} cannot score the validation part: {reason}"
            ) from error
        if np.isnan(value) and run.plan.stops_early:
            too_small = "The validation set is too small. " if len(rows) < 2 else ""
            raise ValueError(
                f"{too_small}{_shown(scoring)} gave NaN for the {len(rows)} rows of the "
                "validation part, where early stopping needs a number. Validate with more rows "
                "(validation_fraction or X_val), or use another scoring."
            )
        return value

    def scores(network, rows, finite):
        members = map(network.member, range(network.n_members))
        # Full-batch solvers train one member after the other.
        own = numbers if len(numbers) == network.n_members else [None] * network.n_members
        return np.array(
            [
                score(one, rows, number) if is_finite else np.nan
                for one, number, is_finite in zip(members, own, finite, strict=True)
            ]
        )

    return scores


def _checked(estimator, scoring):
    """Return the scorer for the parameter `scoring`."""
    try:
        return check_scoring(estimator, scoring=scoring)
    except ValueError as error:
        is_name = isinstance(scoring, str)
        hint = hint_for_name("scoring", scoring, ["loss", *get_scorer_names()]) if is_name else ""
        raise ValueError(f"{_shown(scoring)} cannot be used: {error}{hint}") from error


def _shown(scoring):
    """Return the parameter as text for a message, without the address of a function."""
    return f"scoring={getattr(scoring, '__name__', None) or repr(scoring)}"


def _numbers(run):
    """Return the numbers of the members among all that were started; None where not known."""
    if run.start is None:
        return list(run.plan.of_members(range(run.settings.n_started)))
    numbers = run.start.continuation.started_as
    return [None] * run.n_networks if numbers is None else numbers.tolist()


def _continuation(run):
    """Return what is known before the end of a run; inspection of a network needs it."""
    return Continuation(
        run.settings.architecture,
        run.settings.fixed(),
        run.seeds,
        rows_seen=0,
        loss=np.nan,
        best_loss=np.inf,
        best_validation_score=None,
        held_back=run.plan.stops_early,
        penalty=run.penalty_of_loss,
        started_as=None,
    )


def _hint(scoring, run):
    """Return an addition to errors of scorers; raise ValueError if those of names would fail."""
    levels = run.loss.predicted_levels
    held_out = run.validation if run.members is None else run.training
    if levels is not None:
        cause = "several quantiles"
        hint = (
            f" predict returns one value for each of the {len(levels)} quantiles, where scorers "
            "compare y with a single one. Use scoring='loss', or a function of the estimator, "
            "scoring(estimator, X, y), such as one that returns estimator.score(X, y)."
        )
    elif held_out is not None and held_out.known is not None:
        cause = "missing targets"
        hint = (
            " Some targets of the validation part are missing (NaN), which the scorers of "
            "scikit-learn do not accept. Use scoring='loss', or a function of the estimator that "
            "leaves them out, scoring(estimator, X, y), such as one that returns "
            "estimator.score(X, y)."
        )
    else:
        return ""
    if isinstance(scoring, str):
        raise ValueError(f"{_shown(scoring)} cannot be used with {cause}:{hint}")
    return hint
