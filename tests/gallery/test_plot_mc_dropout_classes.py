"""Aleatoric and epistemic uncertainty over a plane."""

import pytest


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", ["MC dropout", "ensemble\nwith dropout"])
def test_mutual_information_is_the_share_of_doubt_that_points_would_mend(example, name, seed):
    page = example("plot_mc_dropout_classes")
    X, y = page.make_classes(300, seed)
    _, points = page.plane(n_points=21)
    away = points[page.far_from(X, points)]
    overlap = [[0.0, -4.0], [0.0, -3.0], [0.0, -2.0]]

    model = page.make_models(seed, n_estimators=3)[name].set_params(max_iter=60).fit(X, y)
    at_points, beyond, between = (
        model.predict_mc(rows, n_samples=30) for rows in (X, away, overlap)
    )

    assert between.predictive_entropy.min() > 0.4
    assert page.epistemic_share(between) < 0.1
    assert page.epistemic_share(at_points) < 0.15
    assert page.epistemic_share(beyond) > 3 * page.epistemic_share(at_points)
    assert beyond.mutual_information.max() > 5 * between.mutual_information.max()
