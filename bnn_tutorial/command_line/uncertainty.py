"""The command ``uncertainty``: what a trained network doesn't know, and whether that holds.

Explained on the page "Run it, cite it".
"""

import argparse

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.data import TensorDataset

from bnn_tutorial.atomic_write import atomic_write
from bnn_tutorial.chapters import plotting
from bnn_tutorial.command_line.building import load_images
from bnn_tutorial.command_line.load_trained import (
    Trained,
    averaged,
    describe_machine,
    load_trained,
    print_table,
    require_finite,
)
from bnn_tutorial.command_line.run_folder import write_json
from bnn_tutorial.command_line.study_arguments import UNCERTAINTY
from bnn_tutorial.datasets import framed
from bnn_tutorial.evaluation.bands import audit_band
from bnn_tutorial.evaluation.detection import auroc
from bnn_tutorial.evaluation.entropy import EntropyDecomposition, decompose_entropy
from bnn_tutorial.likelihoods import GaussianLikelihood
from bnn_tutorial.prediction.closed_form import exact_moments
from bnn_tutorial.prediction.predict import predict


def run(arguments: argparse.Namespace) -> None:
    """Measure the uncertainty, write the results and, if asked, draw them.

    Raises:
        ValueError: a file is damaged, or the device can't be used.
        OSError: a file is missing, or the results can't be written.
        NonFiniteScoreError: a result is infinite or NaN.
    """
    trained = load_trained(arguments)
    with plt.rc_context(plotting.STYLE):
        is_regression = trained.experiment.is_regression
        study = study_band if is_regression else study_entropy
        results, figure = study(trained, arguments)
        content = {
            "rows": len(trained.data),
            "against": arguments.against,
            "num_samples": None if is_regression else arguments.num_samples,
            "seed": trained.seed,
            "machine": describe_machine(trained.device),
            "results": require_finite(results),
        }
        write_json(content, arguments.output or arguments.folder / UNCERTAINTY)
        how = averaged(trained.experiment, arguments.num_samples)
        how = "in closed form" if is_regression else how
        print_table(f"{arguments.folder}: {how}", results)
        if arguments.figure is not None:
            with atomic_write(arguments.figure) as draft:
                figure.savefig(draft, dpi=150)
        plt.close(figure)


def study_entropy(
    trained: Trained, arguments: argparse.Namespace
) -> tuple[dict[str, float], Figure]:
    """Return the entropies of a network of classes, their AUROC, and their histograms."""
    images, labels = trained.data.tensors
    probabilities, parts = entropies(trained, images, arguments)
    wrong = probabilities.argmax(dim=-1).cpu() != labels
    results = {
        "total": parts.total.mean().item(),
        "aleatoric": parts.aleatoric.mean().item(),
        "epistemic": parts.epistemic.mean().item(),
    }
    if wrong.any() and not wrong.all():
        results["auroc_of_errors"] = auroc(parts.total[~wrong], parts.total[wrong])
    shown = {"test data": parts}
    if arguments.against is not None:
        other = load_images(arguments.against, train=False, full=trained.experiment.full)
        other = framed(TensorDataset(*other[: len(images)]), images.shape[-1])
        _, foreign = entropies(trained, other.tensors[0], arguments)
        results |= {
            "total_against": foreign.total.mean().item(),
            "aleatoric_against": foreign.aleatoric.mean().item(),
            "epistemic_against": foreign.epistemic.mean().item(),
            "auroc_against": auroc(parts.total, foreign.total),
            "auroc_against_epistemic": auroc(parts.epistemic, foreign.epistemic),
        }
        shown[arguments.against] = foreign
    return results, plot_entropies(shown)


def entropies(
    trained: Trained, images: Tensor, arguments: argparse.Namespace
) -> tuple[Tensor, EntropyDecomposition]:
    """Return the averaged class probabilities of ``images`` and the entropies of the draws."""
    prediction = predict(
        trained.model,
        images,
        arguments.num_samples,
        transform=torch.nn.Softmax(dim=-1),
        seed=trained.seed,
        progress=not arguments.quiet,
    )
    return prediction.mean, decompose_entropy(prediction.samples)


def plot_entropies(shown: dict[str, EntropyDecomposition]) -> Figure:
    """Draw a histogram of the predictive entropy for each data set."""
    figure, ax = plt.subplots()
    highest = max(parts.total.max().item() for parts in shown.values())
    for name, parts in shown.items():
        ax.hist(parts.total.cpu(), bins=40, range=(0, highest), alpha=0.6, label=name)
    ax.set(xlabel="predictive entropy (nats)", ylabel="images", yscale="log")
    ax.legend()
    return figure


def study_band(trained: Trained, arguments: argparse.Namespace) -> tuple[dict[str, float], Figure]:
    """Return the widths of the regression's band and its audit on the test data, and a picture."""
    assert isinstance(trained.likelihood, GaussianLikelihood)
    noise_std = trained.likelihood.noise_std.detach()
    x, y = (tensor.to(trained.device) for tensor in trained.data.tensors)
    moments = exact_moments(trained.model, x)
    audit = audit_band(y, *moments.interval(arguments.k, noise_std=noise_std), k=arguments.k)
    results = {
        "noise_std": noise_std.item(),
        "epistemic_std": moments.std.mean().item(),
        "outside_band": audit.share,
        "outside_band_nominal": audit.nominal,
    }
    beyond = (x.max() - x.min()) / 8
    x_line = torch.linspace((x.min() - beyond).item(), (x.max() + beyond).item(), 300)[:, None]
    line = exact_moments(trained.model, x_line)
    figure, ax = plt.subplots()
    name = f"{arguments.k:g} standard deviations"
    plotting.plot_band(
        ax,
        x_line,
        line.interval(arguments.k, noise_std=noise_std),
        label=f"epistemic and noise, {name}",
        color=plotting.ORANGE,
        alpha=0.45,
    )
    plotting.plot_band(
        ax, x_line, line.interval(arguments.k), label=f"epistemic, {name}", alpha=0.5
    )
    ax.plot(x_line, line.mean.cpu(), label="mean")
    ax.plot(x.cpu(), y.cpu(), ".", color=plotting.BLACK, markersize=2, label="test data")
    ax.set(xlabel="x", ylabel="y", title=str(audit))
    ax.title.set_fontsize(9)
    ax.legend()
    return results, figure
