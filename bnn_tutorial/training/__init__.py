"""The training loop: what is minimized, how, and what is kept of it."""

from bnn_tutorial.training.elbo import elbo_loss
from bnn_tutorial.training.fit import evaluate, fit
from bnn_tutorial.training.history import History
from bnn_tutorial.training.kl_schedules import BlundellWeights, KLWarmup
from bnn_tutorial.training.processes import ProcessLostError, process_group
from bnn_tutorial.training.side_by_side import at_rest, train_side_by_side
from bnn_tutorial.training.steps import NonFiniteLossError

__all__ = [
    "BlundellWeights",
    "History",
    "KLWarmup",
    "NonFiniteLossError",
    "ProcessLostError",
    "at_rest",
    "elbo_loss",
    "evaluate",
    "fit",
    "process_group",
    "train_side_by_side",
]
