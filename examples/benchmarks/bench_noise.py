"""The noise precision estimated from training rows and from held-out rows.

Run it by hand; ``--quick`` is a smoke run::

    python examples/benchmarks/bench_noise.py --output noise.md

For each data set and setting, the figure is the square root of the mean of ((y - mean) / std)^2
over the test rows, with mean and std from `predict_mc`. It is one if the standard deviations are
right, and two if they are half as large as they should be. The standard deviation combines the
noise and the spread over masks and members; without masks and members (the defaults) it is the
noise alone. The UCI sets are bundled with their published splits; ``--data`` selects another folder
of such files.
"""

import warnings
from pathlib import Path

import numpy as np
from plain import plain_regressor
from reporting import Report, benchmark_parser, describe_machine, positive_int, progress
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from threadpoolctl import threadpool_limits

LONG = {
    "hidden_layer_sizes": (50,),
    "learning_rate_init": 0.01,
    "max_iter": 400,
    "n_iter_no_change": np.inf,
}
SETTINGS = {
    "defaults": {},
    "400 epochs": LONG,
    "400 epochs, dropout 0.05": {**LONG, "dropout": 0.05},
    "400 epochs, five members": {**LONG, "n_estimators": 5},
}
# Source of the residuals: the training rows, or a held-out fifth, used for early stopping or not.
SOURCES = {
    "training rows": {"early_stopping": False},
    "held out, no early stopping": {"early_stopping": False},
    "held out, early stopping": {
        "early_stopping": True,
        "n_iter_no_change": 20,
        "max_iter": 400,
    },
}
BUNDLED = Path(__file__).parent / "data" / "uci"


def standardised_error(arrays, split, parameters, *, holds_back):
    """Root mean square of the test errors divided by the predicted standard deviations."""
    is_test = arrays["test_mask"][split].astype(bool)
    X, y = arrays["X"], arrays["y"]
    X_train, y_train, held_back = X[~is_test], y[~is_test], {}
    if holds_back:
        X_train, X_val, y_train, y_val = train_test_split(
            X_train, y_train, test_size=0.2, random_state=split
        )
        held_back = {"X_val": X_val, "y_val": y_val}
    model = plain_regressor(random_state=split, **parameters)
    model.fit(X_train, y_train, **held_back)
    distribution = model.predict_mc(X[is_test])
    return np.sqrt(np.mean(((y[is_test] - distribution.mean) / distribution.std) ** 2))


def main():
    """Measure all settings and write the table."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", type=Path, default=BUNDLED, help="folder of NAME.npz")
    parser.add_argument("--splits", type=positive_int, default=5)
    arguments = parser.parse_args()
    paths = sorted(arguments.data.glob("*.npz"))
    extra = {}
    if arguments.quick:
        paths, arguments.splits, extra = paths[:1], 1, {"max_iter": 2, "n_iter_no_change": 1}
    rows = []
    with threadpool_limits(1, user_api="blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        warnings.filterwarnings("ignore", message="The predictions of a single network")
        warnings.filterwarnings("ignore", message="Early stopping goes by only")
        warnings.filterwarnings("ignore", message="The noise was estimated")
        for path in paths:
            with np.load(path) as loaded:
                arrays = {name: loaded[name] for name in loaded.files}
            for setting, parameters in SETTINGS.items():
                progress(f"{path.stem}, {setting}")
                cells = []
                for where, source in SOURCES.items():
                    options = {**parameters, **source, **extra}
                    errors = [
                        standardised_error(
                            arrays, split, options, holds_back=where != "training rows"
                        )
                        for split in range(arguments.splits)
                    ]
                    cells.append(f"{np.median(errors):.2f} ({min(errors):.2f}–{max(errors):.2f})")
                rows.append([path.stem, setting, *cells])
    report = Report(arguments.output)
    report(*describe_machine(blas=False))
    report(f"- median of {arguments.splits} splits (smallest–largest)")
    report.table(["set", "setting", *SOURCES], rows, n_left=2)
    report.write()


if __name__ == "__main__":
    main()
