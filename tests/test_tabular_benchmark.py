"""Tables of the benchmark of the defaults, made of results that are written down here."""

from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"
pytestmark = pytest.mark.usefixtures("benchmark_modules")


@pytest.fixture
def benchmark_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def record(method, name, split, fit=1.0, **scores):
    times = {"fit": fit, "predict": 0.5 * fit, "row": 0.001, "warnings": int(method == "hgb")}
    reference = {"reference_fit": 0.5, "reference_predict": 0.5, "reference_row": 0.001}
    of_split = {"method": method, "set": name, "split": split, "n_train": 40, "n_test": 10}
    return {**of_split, **scores, **times, **reference}


def regression(method, name, *values, fit=1.0):
    """Records of one RMSE a split; copies of training rows are known without error."""
    return [
        record(method, name, split, fit=fit, rmse=rmse, rmse_new=2 * rmse, share_new=0.5)
        for split, rmse in enumerate(values)
    ]


def classes(method, name, error, log_loss, auc):
    scores = {"error": error, "log_loss": log_loss, "auc": auc}
    return [record(method, name, split, **scores) for split in range(2)]


RAW = {
    "machines": [["- a machine"]],
    "rows": None,
    "sets": {
        "yacht": {"task": "regression", "shape": [308, 6]},
        "energy": {"task": "regression", "shape": [768, 8]},
        "glass": {"task": "classes", "shape": [214, 9]},
    },
    "records": [
        *regression("sklearn_mlp", "yacht", 1.0, 3.0, fit=0.5),
        *regression("sklearn_mlp", "energy", 1.0, 1.0, fit=0.5),
        *classes("sklearn_mlp", "glass", 0.35, 1.0, 0.8),
        *regression("skregnet", "yacht", 1.0, 1.0),
        *regression("skregnet", "energy", 1.5, 2.5),
        *classes("skregnet", "glass", 0.0, 0.25, 0.9),
        *regression("hgb", "yacht", 4.0, 4.0),
        *regression("hgb", "energy", 3.0, 3.0),
        *classes("hgb", "glass", 0.15, 0.5, 0.95),
        *regression("gp", "yacht", 0.2, 0.2),
        *regression("gp", "energy", 0.2),
    ],
}


@pytest.fixture
def results(benchmark_modules):
    from tabular_results import Results

    return Results(RAW)


def test_means_of_ratios(results):
    # Means over the splits: 1 / 2 on yacht, 2 / 1 on energy; yacht is not part of the core.
    assert results.mean_ratio("skregnet", "rmse") == pytest.approx(1.0)
    assert results.mean_ratio("skregnet", "rmse", core=True) == pytest.approx(2.0)
    # Half a wrong row of ten is 0.05.
    assert results.mean_ratio("skregnet", "error") == pytest.approx(0.05 / 0.4)
    assert results.mean_ratio("gp", "rmse") == pytest.approx(0.1)
    assert results.mean_ratio("gp", "error") is None


def test_ranks_are_those_of_methods_with_all_results(results):
    assert results.mean_ranks("rmse") == {"skregnet": 1.5, "sklearn_mlp": 1.5, "hgb": 3.0}
    assert results.mean_ranks("auc") == {"skregnet": 2.0, "sklearn_mlp": 3.0, "hgb": 1.0}
    assert results.incomplete == {"gp": ["energy"]}


def test_wins_and_losses(results):
    assert results.duel("hgb", ["rmse", "log_loss"]) == (3, 0, pytest.approx(0.25))
    assert results.duel("sklearn_mlp", ["rmse"])[:2] == (1, 1)
    assert results.duel("hgb", ["auc"])[:2] == (0, 1)
    assert results.much_worse("skregnet") == {("rmse", "energy"): 2.0}


def test_times_are_relative_to_the_same_run(results):
    assert results.times("skregnet", "fit") == ([1.0] * 3, [0.5] * 3)
    assert results.share_of_warnings("hgb") == (6, 6)


def test_report(benchmark_modules, tmp_path, capsys):
    from reporting import Report
    from tabular_plot import draw
    from tabular_tables import write

    report = Report(tmp_path / "accuracy.md")
    write(RAW, report)
    lines = [line.split() for line in report.lines]
    cells = [[cell for cell in line if cell != "|"] for line in lines]
    assert ["skregnet", "1.000", "2.000", "0.125", "0.125", "0.250", "0.250"] in cells
    assert ["yacht", "1", "2", "4", "**0.2**"] in cells
    assert ["yacht,", "without", "copies", "2", "4", "8", "**0.4**"] in cells
    assert "skregnet: energy (RMSE × 2.00)." in report.lines
    draw(RAW, tmp_path / "accuracy.png")
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_results_of_files_are_merged(benchmark_modules):
    from kept_results import add

    raw = {"machines": [], "rows": None, "sets": {}, "records": []}
    add(raw, RAW, "first.json")
    better = {**RAW, "records": classes("hgb", "glass", 0.1, 0.4, 0.95), "machines": [["- other"]]}
    add(raw, better, "second.json")
    assert len(raw["records"]) == len(RAW["records"])
    assert [r["error"] for r in raw["records"] if r["method"] == "hgb" and "error" in r] == [
        0.1
    ] * 2
    assert raw["machines"] == [["- a machine"], ["- other"]]
    with pytest.raises(ValueError, match="--rows 100"):
        add(raw, {**RAW, "rows": 100}, "third.json")


def test_scores_of_classes(benchmark_modules):
    from tabular_running import scores_of_classes

    y = np.array([0, 0, 1, 1])
    proba = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [1.0, 0.0]])
    found = scores_of_classes(y, proba)
    assert found["error"] == 0.75
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.5, 1e-15]).mean())
    assert found["auc"] == pytest.approx(0.25)


def test_sets_and_splits(benchmark_modules, tmp_path):
    pd = pytest.importorskip("pandas")
    from tabular_sets import load_sets

    (tmp_path / "classification").mkdir()
    rows = [[k, "a" if k % 3 else "?", "yes" if k % 2 else "no"] for k in range(40)]
    pd.DataFrame(rows).to_csv(tmp_path / "classification" / "t.csv", header=False, index=False)
    data = load_sets(tmp_path, ["t"])["t"]
    assert [str(dtype) for dtype in data.X.dtypes] == ["float64", "category"]
    assert data.X["x1"].isna().sum() == 14
    train, test = data.split(0, max_rows=20)
    assert len(train) == 20
    assert np.bincount(data.y[test]).tolist() == [4, 4]
    assert not set(train) & set(test)
    with pytest.raises(ValueError, match="there are no sets"):
        load_sets(tmp_path, ["u"])
    yacht = load_sets(names=["yacht"])["yacht"]
    assert yacht.split(1)[1].tolist() == np.flatnonzero(yacht.test_mask[1]).tolist()
