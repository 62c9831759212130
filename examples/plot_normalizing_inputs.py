"""
Why inputs are normalised: the condition number of the loss
===========================================================

If inputs have offsets, unequal scales or correlations, the loss of a linear unit is a long narrow
valley, and gradient descent is slow. Centring, scaling and decorrelating make the contours of the
loss circular, and gradient descent goes straight to the minimum. This example follows section 4.3
and figure 3 of Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, *Efficient BackProp* (1998), and adds
plots of the loss.
"""

# %%
# Two correlated inputs
# ---------------------
#
# Both inputs have an offset, the second has a smaller scale, and they are correlated. The target is
# a linear function of the inputs plus noise.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skregnet import RegularizedMLPRegressor, WhiteningScaler


def make_inputs(n_samples=200, seed=0):
    """Return two inputs with offsets, unequal scales and a correlation of 0.8, and a target."""
    rng = np.random.default_rng(seed)
    correlated = rng.multivariate_normal([0, 0], [[1.0, 0.8], [0.8, 1.0]], n_samples)
    target = correlated @ [0.4, 0.9] + 0.3 * rng.standard_normal(n_samples)
    return correlated * [1.0, 0.4] + [1.5, 1.0], target


# %%
# Training a linear unit
# ----------------------
#
# ``hidden_layer_sizes=()`` gives a linear unit. ``solver="sgd"`` without momentum and with all rows
# in one batch is plain gradient descent: each call of ``partial_fit`` is one step. All units start
# with zero weights, that is, with the same predictions and the same loss.
#
# The loss is quadratic. Its curvatures are the eigenvalues of the Hessian, which is the matrix of
# second moments of the inputs, extended by a constant input of one for the bias. Learning rates
# above :math:`2/\lambda_{max}` diverge. The best constant rate is
# :math:`2/(\lambda_{max}+\lambda_{min})`. With this rate the distance to the minimum shrinks by the
# factor :math:`(\kappa-1)/(\kappa+1)` per step, where :math:`\kappa=\lambda_{max}/\lambda_{min}` is
# the condition number. Each unit is trained with its best rate.

SCALERS = {
    "raw": FunctionTransformer(),
    "centred": StandardScaler(with_std=False),
    "scaled": StandardScaler(),
    "decorrelated": WhiteningScaler(),
}
N_STEPS = 30


def curvatures(Z):
    """Return the eigenvalues of the Hessian of a linear unit with a bias, in ascending order."""
    Z1 = np.column_stack([Z, np.ones(len(Z))])
    return np.linalg.eigvalsh(Z1.T @ Z1 / len(Z1))


def descend(X, y, scaler, rate, n_steps=N_STEPS):
    """Return two weights and a bias after each step of gradient descent, (n_steps + 1, 3)."""
    model = RegularizedMLPRegressor(
        hidden_layer_sizes=(),
        init=[np.zeros((2, 1))],
        scaler=scaler,
        alpha=0.0,
        solver="sgd",
        momentum=0.0,
        batch_size=len(X),
        learning_rate="constant",
        learning_rate_init=rate,
    )
    path = [np.zeros(3)]
    for _ in range(n_steps):
        model.partial_fit(X, y)
        path.append(np.append(model.coefs_[0], model.intercepts_[0]))
    return np.array(path)


def excess_loss(weights, Z, t):
    """Return half the MSE of weights (..., 3) minus its minimum, and the best weights."""
    Z1 = np.column_stack([Z, np.ones(len(Z))])
    best = np.linalg.lstsq(Z1, t, rcond=None)[0]
    difference = (weights - best) @ Z1.T
    return 0.5 * np.mean(difference**2, axis=-1), best


def experiment(X, y, n_steps=N_STEPS):
    """Return for each scaling the inputs, curvatures, path, losses and best weights."""
    t = (y - y.mean()) / y.std()  # the regressor also standardises the target
    results = {}
    for name, scaler in SCALERS.items():
        Z = scaler.fit_transform(X)
        eigenvalues = curvatures(Z)
        path = descend(X, y, scaler, 2 / (eigenvalues[-1] + eigenvalues[0]), n_steps)
        losses, best = excess_loss(path, Z, t)
        results[name] = {
            "Z": Z,
            "t": t,
            "eigenvalues": eigenvalues,
            "path": path,
            "losses": losses,
            "best": best,
        }
    return results


results = experiment(*make_inputs())

# %%
# Inputs and loss
# ---------------
#
# The upper panels show the inputs, the lower panels the loss against both weights: contours at the
# same ten levels in all panels, the steps as dots, and the minimum as a cross. The bias is a third
# dimension that the plot cannot show. The contours are drawn for the best bias, and the path is
# projected onto the weights. With raw inputs the best weights depend on the bias, so the path does
# not cross these contours at right angles. With centred inputs the bias is right from the start.

COLORS = {"raw": "#D55E00", "centred": "#E69F00", "scaled": "#56B4E9", "decorrelated": "#0072B2"}
LINES = {"raw": "-", "centred": "--", "scaled": "-.", "decorrelated": ":"}
MARKERS = {"raw": "o", "centred": "s", "scaled": "^", "decorrelated": "D"}


def draw_inputs(ax, Z):
    """Draw two inputs with axes through the origin."""
    ax.axhline(0, color="0.7", linewidth=0.8)
    ax.axvline(0, color="0.7", linewidth=0.8)
    ax.plot(Z[:, 0], Z[:, 1], ".", color="0.35", markersize=3)
    ax.set(xlim=(-4, 5), ylim=(-4, 5), aspect="equal", xlabel="input 1")


def draw_descent(ax, result, color):
    """Draw contours of the loss against both weights, at the best bias, and the path."""
    best, path = result["best"], result["path"]
    reach = 1.15 * np.abs(path[:, :2] - best[:2]).max()
    steps = np.linspace(-reach, reach, 101)
    plane = np.empty((101, 101, 3))
    plane[..., 0] = best[0] + steps
    plane[..., 1] = best[1] + steps[:, np.newaxis]
    plane[..., 2] = best[2]
    losses, _ = excess_loss(plane, result["Z"], result["t"])
    levels = np.geomspace(1e-3, 10, 10)
    ax.contour(plane[..., 0], plane[..., 1], losses, levels, colors="0.7", linewidths=0.8)
    ax.plot(path[:, 0], path[:, 1], "o-", color=color, markersize=3, linewidth=1)
    ax.plot(*best[:2], "k+", markersize=9)
    ax.locator_params(nbins=4)
    ax.set(aspect="equal", xlabel="weight 1")


fig, axes = plt.subplots(2, 4, figsize=(11, 6.4), layout="constrained")
for (top, bottom), (name, result) in zip(axes.T, results.items(), strict=True):
    draw_inputs(top, result["Z"])
    draw_descent(bottom, result, COLORS[name])
    smallest, largest = result["eigenvalues"][[0, -1]]
    top.set_title(name)
    bottom.set_title(
        f"curvature {smallest:.2g} to {largest:.2g},\ncondition number {largest / smallest:.3g}",
        fontsize="medium",
    )
axes[0, 0].set_ylabel("input 2")
axes[1, 0].set_ylabel("weight 2")
plt.show()

# %%
# With raw inputs, gradient descent has made little progress: the curvature is largest along the
# offset of the inputs, which allows only small steps. Centring removes this direction. Scaling and
# decorrelating make the remaining curvatures equal, and then a single step reaches the minimum.

fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, result in results.items():
    ax.plot(
        result["losses"],
        LINES[name],
        color=COLORS[name],
        marker=MARKERS[name],
        markersize=4,
        label=name,
    )
ax.set(xlabel="steps of gradient descent", ylabel="loss above its minimum", yscale="log")
ax.set_ylim(1e-8, 2)
fig.legend(loc="outside right upper")
plt.show()

for name, result in results.items():
    print(f"{name}: loss above its minimum after {N_STEPS} steps {result['losses'][-1]:.1e}")

# %%
# The loss with decorrelated inputs is rounding error. The loss of a network is not quadratic, and
# its best rate is unknown, but the same argument applies to each unit: normalised inputs give
# similar curvatures, and then one rate suits all weights. ``scaler="standard"``, the default,
# centres and scales; ``scaler="whiten"`` also decorrelates. Figure 3 of the paper shows only the
# inputs. It decorrelates them before scaling and leaves them rotated. Section 5 of the paper shows
# such paths for two classes of points.
