"""A search by Optuna that ends unpromising trials after a few epochs."""

import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skregnet import RegularizedMLPClassifier, search_space, suggest

X, y = load_breast_cancer(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=0)


def objective(trial):
    model = RegularizedMLPClassifier(
        (trial.suggest_int("units", 10, 100, log=True),),
        alpha=trial.suggest_float("alpha", 1e-3, 1e3, log=True),
        dropout=trial.suggest_float("dropout", 0.0, 0.5),
        learning_rate_init=trial.suggest_float("learning_rate_init", 1e-5, 1e-1, log=True),
        random_state=0,
    )
    for epoch in range(30):
        model.partial_fit(X_train, y_train, classes=[0, 1] if epoch == 0 else None)
        loss = log_loss(y_val, model.predict_proba(X_val))
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return loss


sampler = optuna.samplers.TPESampler(seed=0)
pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5)
study = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner)
study.optimize(objective, n_trials=20)


class EndsTrial:
    """Report the validation loss after each epoch, and stop if the trial should be pruned."""

    def __init__(self, trial):
        self.trial = trial

    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name != "epoch" or fitted_estimator is None:
            return False
        self.trial.report(fitted_estimator.validation_loss_curve_[-1], fitted_estimator.n_iter_)
        return self.trial.should_prune()


def objective_with_callback(trial):
    rate = trial.suggest_float("learning_rate_init", 1e-5, 1e-1, log=True)
    model = RegularizedMLPClassifier((20,), learning_rate_init=rate, max_iter=50, random_state=0)
    model.set_callbacks(EndsTrial(trial)).fit(X_train, y_train, X_val=X_val, y_val=y_val)
    if model.stop_reason_ == "callback":
        raise optuna.TrialPruned
    return min(model.validation_loss_curve_)


space = search_space("classification")


def out_of_fold_loss(trial):
    model = RegularizedMLPClassifier(cv=4, random_state=0, **suggest(trial, space))
    model.fit(X_train, y_train)
    return log_loss(y_train, model.oob_decision_function_)
