"""Errors of held-out rows for a fit that holds none out.

A single network on few rows memorises them: its residuals say nothing of the noise. Members on
folds are trained beside it, with the same parameters, and used for nothing else. The network that
predicts does not change.
"""

from .calibration import calibration_after, noise_after
from .result import FitResult
from .settings import is_auto

# Eight folds, as of larger fits, would take half as long again.
_N_FOLDS = 5
# With fewer rows, folds say too little.
_FEWEST_ROWS = 20


def can_cross_calibrate(run):
    """Whether members on folds shall be trained beside the network of a run."""
    settings, n_members = run.settings, run.settings.given["n_estimators"]
    return (
        is_auto(settings.given["cv"])
        and run.start is None
        and settings.finds_plan
        and settings.max_time is None
        and not (run.plan.is_stream or run.is_held_out or run.targets.is_classifier)
        and (is_auto(n_members) or n_members == 1)
        and settings.n_init == 1
        and run.training.known is None
        and run.training.n_counted >= _FEWEST_ROWS
        and run.training.n_groups >= _N_FOLDS
    )


def settings_of_members(settings):
    """Return the settings of a fit with those of its members on folds."""
    dtype = "float32" if is_auto(settings.dtype) else settings.dtype
    return settings.changed(
        cv=_N_FOLDS, n_estimators=_N_FOLDS, early_stopping=False, refit=False, dtype=dtype
    )


def cross_calibrated(result, run, members_run):
    """Return the result of a run with noise and held-out errors of members on folds.

    `members_run` is the run of these members. If it does not come to its end, the result stays.
    """
    outcome = members_run.train()
    if not {*outcome.stop_reason} <= {"max_iter", "tol"}:
        return result
    noise = noise_after(members_run, outcome.network)
    of_members = FitResult.of(members_run, outcome, noise).with_posterior(members_run)
    calibration, scores = calibration_after(members_run, of_members.model)
    result = result.with_noise(noise).with_posterior(run)
    return result.calibrated(calibration.of_all_members(), scores)
