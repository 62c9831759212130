"""What early stopping goes by, where that is not the loss."""

import numpy as np
from sklearn.metrics import check_scoring


def make_scorer(estimator):
    """Return scorer(network, rows, finite) -> scores of the members; None for the loss.

    Members whose predictions are not `finite` get NaN, for scorers refuse such predictions.
    """
    scoring = estimator.scoring
    if scoring == "loss":
        return None
    try:
        scorer = check_scoring(estimator, scoring=scoring)
    except ValueError as error:
        raise ValueError(f"scoring={scoring!r} cannot be used: {error}") from error

    hint = ""
    levels = getattr(estimator._targets.loss, "predicted_levels", None)
    if levels is not None:
        hint = (
            f" predict returns one value for each of the {len(levels)} quantiles, where scorers "
            "compare y with a single one. Use scoring='loss', or a function of the estimator, "
            "scoring(estimator, X, y), such as one that returns estimator.score(X, y)."
        )
        if isinstance(scoring, str):
            raise ValueError(f"scoring={scoring!r} cannot be used with several quantiles:{hint}")

    def score(network, rows):
        weight = {} if rows.weight is None else {"sample_weight": rows.weight}
        try:
            value = float(scorer(estimator._predictor(network), rows.X, rows.labels, **weight))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"scoring={scoring!r} cannot score the validation part: {error}{hint and '.'}{hint}"
            ) from error
        if np.isnan(value) and estimator.do_early_stopping_:
            raise ValueError(
                f"scoring={scoring!r} gave NaN for the {len(rows)} rows of the validation part, "
                "where early stopping needs a number. Validate with more rows (validation_fraction "
                "or X_val), or use another scoring."
            )
        return value

    def scores(network, rows, finite):
        return np.array(
            [
                score(network.member(member), rows) if finite[member] else np.nan
                for member in range(network.n_members)
            ]
        )

    return scores
