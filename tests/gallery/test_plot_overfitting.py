"""Bishop's figures 5.9 and 5.10."""

import pytest


@pytest.mark.filterwarnings("ignore:scg failed to converge")
def test_ten_units_fit_the_noise_of_ten_points_and_a_penalty_prevents_it(example):
    page = example("plot_overfitting")
    training, test = page.sine(10, noise=0.25, seed=3), page.sine(200, noise=0.25, seed=1)

    def errors(n_hidden, alpha=0.0):
        model = page.fit(*training, n_hidden, seed=0, alpha=alpha)
        return page.root_mean_square(model, *training), page.root_mean_square(model, *test)

    one, ten, mended = errors(1), errors(10), errors(10, alpha=0.05)
    assert ten[0] < 0.2 * one[0]
    assert ten[1] > 1.1 * one[1]
    assert mended[1] < 0.8 * ten[1]


@pytest.mark.filterwarnings("ignore:scg failed to converge")
def test_each_remedy_lowers_the_error_of_ten_units(example):
    page = example("plot_overfitting")
    training, test = page.sine(10, noise=0.25, seed=3), page.sine(200, noise=0.25, seed=1)
    models = page.remedied(*training, *page.sine(8, noise=0.25, seed=7), seed=1)
    errors = {name: page.root_mean_square(model, *test) for name, model in models.items()}
    assert max(errors["L2"], errors["early stopping"]) < 0.9 * errors["none"]
    assert errors["Adam, dropout"] < 0.95 * errors["Adam"] < errors["none"]


@pytest.mark.filterwarnings("ignore:scg failed to converge")
def test_the_best_start_is_one_of_three_units(example):
    page = example("plot_overfitting")
    training, test = page.sine(10, noise=0.25, seed=3), page.sine(200, noise=0.25, seed=1)

    def error(n_hidden, seed):
        return page.root_mean_square(page.fit(*training, n_hidden, seed), *test)

    best = error(3, seed=6)
    assert best < 0.9 * error(1, seed=0)
    assert best < 0.9 * min(error(10, seed) for seed in range(4))
    assert error(3, seed=0) > 1.1 * best
