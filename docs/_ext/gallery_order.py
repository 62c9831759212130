"""The order of the examples: that of a lecture, not of the alphabet."""

from pathlib import Path

ORDER = (
    "plot_quickstart",
    "plot_overfitting",
    "plot_early_stopping",
    "plot_dropout",
    "plot_dropout_digits",
    "plot_mc_dropout",
    "plot_mc_dropout_classes",
    "plot_initialization",
    "plot_deep_logistic",
    "plot_efficient_backprop",
    "plot_normalizing_inputs",
    "plot_batch_norm",
    "plot_concrete",
    "plot_adult",
    "plot_search",
)


class LectureOrder:
    """Key that sorts the files of a gallery; what is not in the list comes last, by name.

    Parameters
    ----------
    src_dir : str
        Folder of the files; the order does not depend on it.
    """

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        """Return the key of a file."""
        name = Path(filename).stem
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)

    def __repr__(self):
        return f"{type(self).__name__}()"
