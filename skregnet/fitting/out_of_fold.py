"""Members on rows of their own, and the losses and predictions of the rows that they lack."""

from dataclasses import replace
from functools import cached_property

import numpy as np
from scipy.sparse import issparse

from ..data.rows import at_most
from ..targets.real import mean_over_members
from .judge import sample_of


class OutOfFold:
    """The rows that the members of an ensemble learn from, and those that are held out from them.

    Each fold has targets of its own, which scale by its training rows, and weights with a mean of
    one over these. The inputs are the same for all folds. A bootstrap sample is a fold, too.

    Parameters
    ----------
    folds : Folds
    rows : Rows
        The rows of the fit, without zero weights.
    training : sequence of Rows
        Training rows of each fold.
    targets : RealTargets or ClassTargets
        Fitted to all rows; what the published network predicts.
    n_members : int
        A multiple of the number of folds. Member m does not see fold ``m % len(folds)``.
    """

    def __init__(self, folds, rows, training, targets, n_members):
        self.folds = folds
        self.rows = rows
        self.training = training
        self.targets = targets
        self.n_members = n_members
        self.targets_of_fold = [targets] * len(folds)
        if not targets.is_classifier and targets.can_rescale:
            self.targets_of_fold = [targets.fitted(part) for part in training]

    @property
    def total_weight(self):
        """Mean over the folds of the total weight of the training rows."""
        return float(np.mean([part.total_weight for part in self.training]))

    @cached_property
    def rows_of_members(self):
        """Row numbers of each member, (members, rows).

        Where a fold has fewer training rows than another one, some of them occur again.
        """
        n_rows, of_member = self.folds.n_training, self.folds.of_member
        return np.array(
            [np.resize(self.folds.train[of_member(m)], n_rows) for m in range(self.n_members)]
        )

    def member_targets(self, y, weight):
        """Return targets and weights for `Batches`, from those of all rows in common units.

        They have a leading axis of members where the members have different ones.
        """
        if not self.targets.is_classifier and self._maps is not None:
            y = self._of_members(
                y,
                [
                    targets.for_loss(part.y, y.dtype)
                    for targets, part in zip(self.targets_of_fold, self.training, strict=True)
                ],
            )
        weights = [part.loss_weight for part in self.training]
        sizes = {len(part) for part in self.training}
        if len(sizes) == 1 and all(each is None for each in weights):
            return y, None
        n_columns = max([1, *(each.shape[1] for each in weights if each is not None)])
        shared = [
            (np.ones((len(part), n_columns)) if each is None else each) / readings
            for each, part, readings in zip(weights, self.training, self._readings(), strict=True)
        ]
        weight = self._of_members(np.empty((len(self.rows), n_columns), y.dtype), shared)
        return y, weight

    def _readings(self):
        """Yield how often each training row of a fold is read, in units of the mean, (rows, 1).

        A row that is read twice counts half each time, so that all rows count as much. The repeats
        of a row in a bootstrap sample share one weight.
        """
        for train in self.folds.train:
            share = len(train) / self.folds.n_training
            read = np.bincount(np.resize(train, self.folds.n_training))[train]
            yield (read * share / np.bincount(train)[train])[:, np.newaxis]

    def _of_members(self, common, values):
        """Return an array (members, rows, columns) with the values of each fold in its rows."""
        of_members = np.zeros((self.n_members, *common.shape), common.dtype)
        for member in range(self.n_members):
            fold = self.folds.of_member(member)
            of_members[member, self.folds.train[fold]] = values[fold]
        return of_members

    def start_of_members(self, loss, dtype):
        """Return the initial biases of the output layer, (members, 1, outputs), or None."""
        starts = [loss.start(constant, y) for constant, y in self._constants(loss, dtype)]
        return None if starts[0] is None else self._biases(starts)

    def constant_of_members(self, loss, dtype):
        """Return biases with which the members predict the best constant of their rows."""
        return self._biases(
            [constant_biases(loss, constant, y) for constant, y in self._constants(loss, dtype)]
        )

    def _constants(self, loss, dtype):
        """Yield the best constant of the rows of each fold, and their targets."""
        for targets, part in zip(self.targets_of_fold, self.training, strict=True):
            y = targets.for_loss(part.y, dtype)
            yield loss.constant_of_known(y, part.loss_weight), y

    def _biases(self, of_folds):
        of_members = [of_folds[self.folds.of_member(m)] for m in range(self.n_members)]
        return np.array(of_members)[:, np.newaxis]

    def set_population_statistics(self, network, x, members=None):
        """Set the running moments of batch normalisation to those of the rows of each member.

        `members` are the numbers of those that the network has, if they are not all.
        """
        for i, member in enumerate(range(self.n_members) if members is None else members):
            fold = self.folds.of_member(member)
            rows, weight = self.folds.train[fold], self.training[fold].loss_weight
            network.member(i).set_population_statistics(rows_of(x, rows), weight)

    # ---- units of the targets

    @cached_property
    def _maps(self):
        """Factor and shift of the raw predictions of each fold in common units, or None."""
        if self.targets.is_classifier or not self.targets.can_rescale:
            return None
        return [self.targets.raw_map_from(each) for each in self.targets_of_fold]

    def in_common_units(self, network):
        """Return the network for the targets of all rows: a copy with another output layer."""
        if self._maps is None:
            return network
        network = network.select(slice(None))
        output = network.dense_layers[-1]
        for member in range(network.n_members):
            factor, shift = self._maps[self.folds.of_member(member)]
            output.weight[member] *= factor
            output.bias[member] = output.bias[member] * factor + shift
        return network

    # ---- held-out rows

    @cached_property
    def held_out(self):
        """Held-out rows of each fold."""
        return [self.rows.take(part) for part in self.folds.test]

    @cached_property
    def shared_out(self):
        """The same rows, with weights divided by the number of folds that hold out the row."""
        n_folds = self.folds.holds_out.sum(axis=1)
        if n_folds.max() == 1:
            return self.held_out
        return [
            replace(rows, weight=(1.0 if rows.weight is None else rows.weight) / n_folds[numbers])
            for rows, numbers in zip(self.held_out, self.folds.test, strict=True)
        ]

    def losses_of_training(self, run, judge):
        """Return a function of members and their numbers for the losses of their training rows."""
        x, _, _ = run.arrays(run.training)
        evaluations = []
        for train, rows, targets in zip(
            self.folds.train, self.training, self.targets_of_fold, strict=True
        ):
            some = sample_of((train, *run.for_loss(rows, targets)))
            evaluations.append(judge.evaluation(rows_of(x, some[0]), *some[1:]))

        def losses(network, members):
            each = zip(_members_of(network), members, strict=True)
            return np.array([evaluations[self.folds.of_member(m)](one)[0] for one, m in each])

        return losses

    def validator(self, run, judge, scorer=None):
        """Return a function of a network that gives the joint loss and score, (members,) each.

        The loss of a held-out row is the mean over the members that have not seen it, each in its
        own units. All members get the mean over the rows. The score is the mean over the scores of
        the members, each on the rows that it has not seen.
        """
        x, _, _ = run.arrays(run.training)
        evaluations, shares = [], []
        for numbers, rows, targets in zip(
            self.folds.test, self.shared_out, self.targets_of_fold, strict=True
        ):
            evaluations.append(judge.evaluation(rows_of(x, numbers), *run.for_loss(rows, targets)))
            shares.append(rows.total_weight)
        shares = np.array(shares) / np.sum(shares)
        in_memory = [] if scorer is None else [rows.in_memory() for rows in self.held_out]
        members = {}  # the networks of the members, which share the memory of the whole one

        def validate(network):
            if members.get("of") is not network:
                members.update(of=network, each=_members_of(network))
            fold = self.folds.of_member
            losses = [evaluations[fold(m)](one)[0] for m, one in enumerate(members["each"])]
            loss = self._joint(losses, shares)
            if scorer is None:
                return loss, None
            scores = [
                scorer(one, in_memory[fold(m)], np.isfinite(losses[m : m + 1]))[0]
                for m, one in enumerate(_members_of(self.in_common_units(network)))
            ]
            return loss, self._joint(scores, shares)

        return validate

    def _joint(self, values, shares):
        """Return the weighted mean over the folds for each member."""
        of_members = np.array(values).reshape(-1, len(self.folds)).mean(axis=0)
        return np.full(self.n_members, shares @ of_members)

    def parts(self, run, network, n_rows):
        """Return pairs of members and of rows that all of these, and no others, have not seen.

        There are at most so many rows in all, as arrays in common units. `network` is in common
        units, too.
        """
        x, y, weight = run.arrays(run.training)
        parts = []
        for members, some in self.held_out_parts(n_rows):
            data = rows_of(x, some), y[some], None if weight is None else weight[some]
            parts.append((network.select(members), data))
        return parts

    def held_out_parts(self, n_rows):
        """Return pairs of members, and of the rows that all of these, and no others, have not seen.

        Both are numbers: of members, and of rows of the fit, at most `n_rows` in all.
        """
        numbers = np.flatnonzero(self.folds.holds_out.any(axis=1))
        n_repeats = self.n_members // len(self.folds)
        return [
            (np.flatnonzero(np.tile(folds, n_repeats)), some)
            for folds, some in self.folds.grouped(numbers[at_most(len(numbers), n_rows)])
        ]

    def attributes(self, run, network, targets):
        """Return the public attributes; `network` is in common units."""
        folds = self.folds
        predicted, score = targets.predict_and_score(self.raw(run, network), self.rows)
        of_all = np.full((folds.n_samples, *predicted.shape[1:]), np.nan, predicted.dtype)
        of_all[folds.kept] = predicted
        return {
            "fold_": folds.of_row,
            targets.name_out_of_fold: of_all,
            "oob_score_": score,
        }

    def raw(self, run, network):
        """Return raw predictions of held-out rows in common units, (rows, outputs).

        They are means over the members that have not seen the row, and NaN for a row that is not
        held out. `network` is in common units.
        """
        x, _, _ = run.arrays(run.training)
        raw = np.zeros((len(self.rows), network.layers[-1].n_outputs), network.params.dtype)
        for k, numbers in enumerate(self.folds.test):
            members = network.select(slice(k, None, len(self.folds)))
            raw[numbers] += mean_over_members(members.infer(rows_of(x, numbers)))
        n_folds = self.folds.holds_out.sum(axis=1, keepdims=True)
        raw /= np.where(n_folds > 0, n_folds, np.nan).astype(raw.dtype)
        return raw


def constant_biases(loss, constant, y):
    """Return biases of the output layer that predict a constant, and from which training can go."""
    start = loss.start(constant, y)
    return constant if start is None else start


def _members_of(network):
    return [network.member(member) for member in range(network.n_members)]


def rows_of(x, numbers):
    """Return some rows of scaled inputs, by their numbers."""
    if issparse(x) or isinstance(x, np.ndarray):
        return x[numbers]
    return x.subset(numbers)
