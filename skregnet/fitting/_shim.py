from dataclasses import dataclass

from ..functions.penalties import ElasticNet
from ..optim import STOCHASTIC_OPTIMIZERS, StochasticOptimizer
from ..optim.stochastic import AdamW
from ..training.loop import train as old_train
from ..training.monitor import Monitor as OldMonitor
from ..training.repetition import RepeatMonitor


class Penalty:
    pass


PENALTIES = {"elastic_net": ElasticNet}


def make_optimizer(solver, options):
    return (solver, options)


@dataclass
class Rate:
    learning_rate: float
    schedule: object
    n_steps: int


def make_pipeline(optimizer, *, penalty, max_grad_norm, max_norm, extra=()):
    return (optimizer, penalty, max_grad_norm, max_norm)


def train(backprop, batches, pipeline, state, monitor, rate, max_epochs):
    (solver, o), penalty, mg, mn = pipeline
    wd = 0.0
    if isinstance(solver, StochasticOptimizer):
        opt = solver
    else:
        adam = {n: float(o[n]) for n in ("beta_1", "beta_2", "epsilon")}
        if STOCHASTIC_OPTIMIZERS[solver] is AdamW:
            wd = penalty.strength * (1.0 - penalty.l1_ratio)
            penalty = ElasticNet(penalty.strength * penalty.l1_ratio, 1.0)
        options = {
            "sgd": {
                "momentum": float(o["momentum"]),
                "nesterovs_momentum": bool(o["nesterovs_momentum"]),
            },
            "adam": adam,
            "adamw": {**adam, "weight_decay": wd, "n_decayed": backprop.network.n_weights},
            "rmsprop": {"epsilon": float(o["epsilon"])},
        }
        opt = STOCHASTIC_OPTIMIZERS[solver](**options.get(solver, {}))
    return old_train(
        backprop,
        batches,
        opt,
        state,
        monitor,
        learning_rate=rate.learning_rate,
        schedule=rate.schedule,
        penalty=penalty,
        max_epochs=max_epochs,
        n_schedule_steps=rate.n_steps,
        max_grad_norm=mg,
        max_norm=mn,
    )


def Monitor(network, stopping, *, lengths=None, lowered=(), **o):
    if lengths is None:
        return OldMonitor(network, stopping, **o)
    return RepeatMonitor(network, stopping, n_epochs=lengths, lowered=lowered, **o)
