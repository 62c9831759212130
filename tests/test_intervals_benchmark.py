"""Tables of the benchmark of intervals, made of results that are written down here."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from skregnet.uncertainty import gaussian_crps

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"
pytestmark = pytest.mark.usefixtures("benchmark_modules")


@pytest.fixture
def benchmark_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))


def record(method, name, split, n_test, **scores):
    identity = {"method": method, "set": name, "split": split, "n_train": 400, "n_test": n_test}
    return {**identity, "fit": 2.0 if method == "ngboost" else 1.0, "predict": 0.5, **scores}


def regression(method, name, score, *coverages, n_test=100):
    """Records of one coverage a split, the same for all levels."""
    hits = [20, 20, 20, 20, 10]
    of_levels = {f"interval_score_{key}": score for key in (50, 80, 90, 95)}
    of_levels |= {f"width_{key}": 2.0 * score for key in (50, 80, 90, 95)}
    strata = {f"{kind}_hits": hits for kind in ("prediction", "feature")}
    strata |= {f"{kind}_rows": [20] * 5 for kind in ("prediction", "feature")}
    scores = {"interval_score": score, "crps": 0.1 * score, "crps_of_quantiles": 0.1 * score}
    return [
        record(
            *(method, name, split, n_test),
            **{f"coverage_{key}": coverage for key in (50, 80, 90, 95)},
            **of_levels,
            **strata,
            **scores,
        )
        for split, coverage in enumerate(coverages)
    ]


def classes(method, name, size, **others):
    scores = {}
    for key in (80, 90, 95):
        scores |= {f"coverage_{key}": 0.9, f"size_{key}": size, f"singletons_{key}": 0.25}
        scores |= {f"class_hits_{key}": [9, 3], f"class_rows_{key}": [10, 4]}
    return [record(method, name, split, 14, **scores, **others) for split in range(2)]


RAW = {
    "machines": [["- a machine"]],
    "rows": None,
    "sets": {
        "yacht": {"task": "regression", "shape": [308, 6]},
        "energy": {"task": "regression", "shape": [768, 8]},
        "glass": {"task": "classes", "shape": [214, 9]},
    },
    "records": [
        *regression("skregnet", "yacht", 1.0, 0.9, 0.92),
        *regression("skregnet", "energy", 1.0, 0.8, 0.82),
        *regression("ngboost", "yacht", 4.0, 0.98, 1.0),
        *regression("ngboost", "energy", 1.0, 0.6, 1.0),
        *regression("gp", "yacht", 3.0, 0.9, 0.9),
        *classes("skregnet_lac", "glass", 1.5, log_loss=0.5, ece=0.1),
        *classes("mapie_split_hgb_lac", "glass", 3.0),
        *(record("hgb_proba", "glass", k, 14, log_loss=0.75, ece=0.05) for k in range(2)),
    ],
}


@pytest.fixture
def results(benchmark_modules):
    from intervals_results import IntervalResults

    return IntervalResults(RAW, "regression")


def test_coverages_that_depart(results):
    assert results.coverage("skregnet", "yacht", 90) == pytest.approx(0.91)
    # 0.81 of 200 rows is further than 2 * sqrt(0.9 * 0.1 / 200) = 0.042 from 0.9.
    assert results.standard_error("skregnet", "energy", 90) == pytest.approx(0.15 / 50**0.5)
    assert results.departures("skregnet", 90) == [["energy"], []]
    assert results.departures("skregnet", 50) == [[], ["yacht", "energy"]]
    # Splits with 0.6 and 1.0 tell little: the standard error of their mean is 0.2.
    assert results.standard_error("ngboost", "energy", 90) == pytest.approx(0.2)
    assert results.departures("ngboost", 90) == [[], ["yacht"]]
    assert results.departure("gp", "energy", 90) == 0
    assert results.coverage("gp", "energy", 90) is None


def test_coverage_of_sets_with_unequal_splits(benchmark_modules):
    from intervals_results import IntervalResults

    records = [
        *regression("gp", "yacht", 1.0, 1.0, n_test=30),
        {**regression("gp", "yacht", 1.0, 0.5, n_test=10)[0], "split": 1},
    ]
    results = IntervalResults({**RAW, "records": records}, "regression")
    assert results.coverage("gp", "yacht", 90) == pytest.approx(0.875)


def test_relative_scores_and_ranks(results):
    assert results.relative("ngboost", "interval_score") == (
        pytest.approx(2.0),
        ["yacht", "energy"],
    )
    assert results.relative("gp", "crps") == (pytest.approx(3.0), ["yacht"])
    assert results.mean_ranks("crps") == {"skregnet": 1.25, "ngboost": 1.75}
    assert results.worst_group("skregnet", "yacht", "feature_{}") == 0.5
    assert results.worst_group("gp", "energy", "feature_{}") is None


def test_results_of_classes(benchmark_modules):
    from intervals_results import IntervalResults

    results = IntervalResults(RAW, "classes")
    assert results.worst_group("skregnet_lac", "glass", "class_{}_90") == 0.75
    assert results.worst_group("hgb_proba", "glass", "class_{}_90") is None
    assert results.relative("hgb_proba", "log_loss") == (pytest.approx(1.5), ["glass"])
    assert results.relative("hgb_proba", "size_90") == (None, [])


def test_report(benchmark_modules, tmp_path, capsys):
    from intervals_tables import write
    from reporting import Report

    report = Report(tmp_path / "intervals.md")
    write(RAW, report)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.lines]
    assert ["skregnet", "91.0", "81.0 −"] in cells
    assert ["NGBoost", "99.0 +", "80.0"] in cells
    assert ["Gaussian process", *["3.000 (1)"] * 5] in cells
    assert ["NGBoost", "1.75", "1.75", "1.75"] in cells
    assert ["skregnet, LAC", "1.5"] in cells
    assert ["MAPIE split LAC, HistGradientBoosting", *["2.000"] * 3] in cells
    assert ["HistGradientBoosting", "1.500", "0.500"] in cells
    assert ["NGBoost", "2", "4", "2", "1", "1"] in cells
    text = "\n".join(report.lines)
    assert "- skregnet: 50 % too high on yacht, energy; 80 % too high on yacht; 90 %" in text
    assert "90 % too low on energy; 95 % too low on yacht, energy." in text
    assert "Gaussian process is not shown" not in text


def test_interval_scores(benchmark_modules):
    from intervals_scores import COVERAGES, interval_score, scores_of_intervals

    y = np.array([0.0, 2.0, -3.0])
    assert interval_score(y, -1.0, 1.0, 0.9).tolist() == pytest.approx([2.0, 22.0, 42.0])
    bounds = np.ones((3, len(COVERAGES)))
    found = scores_of_intervals(y, -bounds, bounds, np.zeros(3), None, unit=2.0)
    assert found["coverage_90"] == pytest.approx(1 / 3)
    assert found["width_90"] == 1.0
    assert found["interval_score_90"] == pytest.approx(11.0)
    assert found["crps"] == found["crps_of_quantiles"] > 0.0
    exact = scores_of_intervals(y, -bounds, bounds, np.zeros(3), np.full(3, 0.4), unit=2.0)
    assert exact["crps"] == pytest.approx(0.2)


def test_crps_of_quantiles_of_normal_distributions(benchmark_modules):
    from intervals_scores import LEVELS, crps_of_quantiles

    y = np.linspace(-4.0, 4.0, 9)
    quantiles = np.tile(1.0 + 2.0 * norm.ppf(LEVELS), (9, 1))
    exact = gaussian_crps(y, np.ones(9), np.full(9, 2.0))
    np.testing.assert_allclose(crps_of_quantiles(y, quantiles), exact, rtol=1e-3)
    # Quantiles that cross are sorted.
    np.testing.assert_array_equal(
        crps_of_quantiles(y, quantiles[:, ::-1]), crps_of_quantiles(y, quantiles)
    )


def test_strata(benchmark_modules):
    from intervals_scores import counts, most_distinct_column, strata_by_quantile, strata_by_rank

    values = np.array([5.0, 1.0, 1.0, 9.0, 7.0, 3.0, 3.0, 8.0, 2.0, 6.0])
    assert np.bincount(strata_by_rank(values)).tolist() == [2] * 5
    assert strata_by_rank(values)[[1, 2, 3]].tolist() == [0, 0, 4]
    assert strata_by_quantile(np.array([0.0, 50.0, 99.0]), np.arange(101)).tolist() == [0, 2, 4]
    assert counts(np.array([True, False, True]), np.array([0, 0, 2]), 3) == ([1, 0, 1], [2, 0, 1])
    assert most_distinct_column(np.array([[0, 1, 5], [0, 2, 5], [1, 3, 5]])) == 1


def test_scores_of_sets(benchmark_modules):
    from intervals_scores import scores_of_sets

    sets = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=bool)
    found = scores_of_sets(np.array([0, 1, 1, 2]), sets, 0.9)
    assert found == {
        "coverage_90": 0.5,
        "size_90": 1.0,
        "singletons_90": 0.5,
        "empty_90": 0.25,
        "class_hits_90": [1, 1, 0],
        "class_rows_90": [1, 2, 1],
    }


def test_methods_have_labels_of_their_own(benchmark_modules):
    from intervals_families import FAMILIES, LABELS

    n_methods = sum(len(family.methods) for family in FAMILIES.values())
    assert n_methods == sum(map(len, LABELS.values()))
    for labels in LABELS.values():
        assert len(set(labels.values())) == len(labels)


def test_measured_records(benchmark_modules):
    from intervals_running import measure

    records, errors = measure("gp", "yacht", 0, max_rows=40)
    assert not errors
    (found,) = records
    assert found["method"] == "gp"
    assert found["n_train"] == 40
    assert sum(found["prediction_rows"]) == sum(found["feature_rows"]) == found["n_test"]
    assert 0.0 < found["width_50"] < found["width_95"]
    records, errors = measure("hgb_proba", "wine", 0, max_rows=40)
    assert not errors
    assert records[0]["log_loss"] > 0.0
