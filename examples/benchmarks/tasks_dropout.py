"""Monte Carlo dropout compared with PyTorch: mean and variance of many passes with new masks."""

import statistics
import time

import numpy as np
from plain import plain_regressor
from tasks_ensemble import make_regression
from tasks_results import milliseconds
from tasks_running import is_installed

N_FEATURES, HIDDEN, DROPOUT = 20, (100, 100), 0.2
N_ROWS, N_SAMPLES = 10_000, 100
# Number of rows per pass of PyTorch, and number of copies of the rows; the table shows the fastest.
WAYS = [(N_ROWS, 1), (N_ROWS, 2), (500, 1)]
LIMIT = 5


def measure(bench):
    """Yield the results of each number of threads."""
    if not is_installed("skregnet.uncertainty"):
        yield "mc_dropout: left out, this skregnet has no module `uncertainty`"
        return
    has_torch = is_installed("torch")
    if not has_torch:
        yield "mc_dropout: PyTorch is not installed"
    n_rows, n_samples = (200, 4) if bench.quick else (N_ROWS, N_SAMPLES)
    for n_threads in bench.threads:
        ours, theirs = [], {way: [] for way in WAYS if has_torch}
        # The first round warms up; the libraries alternate, each in its own process.
        for _ in range(1 + bench.repeats):
            ours.append(bench.worker(n_threads)(time_skregnet, n_rows, n_samples))
            for way, own in theirs.items():
                torch_worker = bench.worker(n_threads, "torch")
                own.append(torch_worker(time_torch, n_rows, n_samples, way, n_threads))
        fastest = min((own[1:] for own in theirs.values()), key=statistics.median, default=[])
        yield milliseconds(
            f"MC dropout, {n_samples} samples × {n_rows} rows, {HIDDEN}, threads: {n_threads}",
            ours[1:],
            fastest,
            peer="PyTorch" if has_torch else "",
            limit=LIMIT if has_torch else None,
        )


def time_skregnet(n_rows, n_samples):
    """Seconds to compute the moments of all rows."""
    from skregnet.uncertainty import mc_moments

    X, y = make_regression(n_rows, N_FEATURES, np.float32)
    model = plain_regressor(HIDDEN, dropout=DROPOUT, scaler=None, max_iter=1)
    network = model.fit(X, y).network_
    generator = np.random.default_rng(0)
    start = time.perf_counter()
    mean, variance = mc_moments(network, X, n_samples, generator)
    seconds = time.perf_counter() - start
    _check(mean, variance)
    return seconds


def time_torch(n_rows, n_samples, way, n_threads):
    """Seconds for the same with a PyTorch module in training mode, in one of the ways."""
    import torch

    torch.set_num_threads(n_threads)
    torch.manual_seed(0)
    x = torch.from_numpy(make_regression(n_rows, N_FEATURES, np.float32)[0])
    layers, fan_in = [], N_FEATURES
    for n_units in HIDDEN:
        layers += [torch.nn.Linear(fan_in, n_units), torch.nn.ReLU(), torch.nn.Dropout(DROPOUT)]
        fan_in = n_units
    module = torch.nn.Sequential(*layers, torch.nn.Linear(fan_in, 1)).train()
    rows_at_once, copies = way
    total, squares = torch.zeros(n_rows, 1), torch.zeros(n_rows, 1)
    with torch.no_grad():
        start = time.perf_counter()
        parts = (values.split(rows_at_once) for values in (x, total, squares))
        for part, part_total, part_squares in zip(*parts, strict=True):
            batch = part.repeat(copies, 1)
            for _ in range(n_samples // copies):
                outputs = module(batch).view(copies, len(part), 1)
                part_total += outputs.sum(dim=0)
                part_squares += outputs.square().sum(dim=0)
        mean = total / n_samples
        variance = squares / n_samples - mean.square()
        seconds = time.perf_counter() - start
    _check(mean.numpy(), variance.numpy())
    return seconds


def _check(mean, variance):
    """Check that the masks make the outputs of each row vary."""
    if not (np.isfinite(mean).all() and np.median(variance) > 1e-6):
        raise RuntimeError("the outputs do not vary between passes, or are not finite")
