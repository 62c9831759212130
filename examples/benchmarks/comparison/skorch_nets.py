"""PyTorch modules wrapped by skorch."""

import torch
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

torch.set_num_threads(1)


class Layers(nn.Module):
    """A hidden layer for inputs of any width, which are made float32 as PyTorch wants them."""

    def __init__(self, n_outputs, last):
        super().__init__()
        self.layers = nn.Sequential(
            nn.LazyLinear(100), nn.ReLU(), nn.LazyLinear(n_outputs), *([last] if last else [])
        )

    def forward(self, X, sample_weight=None):
        """Return the outputs of a batch."""
        del sample_weight
        return self.layers(X.float())


def make(kind, n_outputs, **parameters):
    """Return an estimator for 'regressor', 'classifier' or 'multilabel' targets."""
    settings = {"max_epochs": 100, "lr": 0.001, "optimizer": torch.optim.Adam, "verbose": 0}
    settings |= {"module": Layers, "module__n_outputs": n_outputs, "module__last": None}
    settings |= parameters
    if kind == "regressor":
        return NeuralNetRegressor(**settings)
    if kind == "multilabel":
        loss = nn.BCEWithLogitsLoss
        return NeuralNetClassifier(criterion=loss, train_split=None, **settings)
    return NeuralNetClassifier(**(settings | {"module__last": nn.Softmax(dim=-1)}))
