"""The table of accuracies, made from what ``accuracy.py`` recorded, and the targets below it.

Explained on the page "How fast, how accurate".
"""

import json

from records import RESULTS, line, write_table

RECORD, SEARCH_RECORD = RESULTS / "accuracy.json", RESULTS / "accuracy-search.json"
NETWORKS = {"mnist": "MNIST CNN", "lenet5": "LeNet-5", "alexnet": "AlexNet"}
VARIANTS = {"twin": "deterministic twin", "head": "Bayesian head", "all": "all-Bayesian"}
COLUMNS = {  # by score: heading, factor, digits
    "accuracy": ("accuracy (%)", 100, 2),
    "nll": ("NLL (nats)", 1, 4),
    "ece": ("ECE (%)", 100, 2),
    "auroc": ("AUROC", 1, 4),
}


def quoted(name: str, value: float, std: float | None = None) -> str:
    """Return a score in its column's unit, with its standard deviation where there is one."""
    _, factor, digits = COLUMNS[name]
    text = f"{factor * value:.{digits}f}"
    return text if std is None else f"{text} ± {factor * std:.{digits}f}"


def summary_line(summary: dict) -> str:
    """Return the line of one network's variant."""
    scores = [quoted(name, summary["mean"][name], summary["std"][name]) for name in COLUMNS]
    return line([NETWORKS[summary["network"]], VARIANTS[summary["variant"]], *scores])


def target_lines(network: str, twin: dict[str, float], bayesian: dict[str, float]) -> list[str]:
    """Return, for one network, each target with what was measured and whether it was reached.

    Args:
        network: its name in the record.
        twin: the deterministic twin's mean scores.
        bayesian: the all-Bayesian network's.
    """
    gain = 100 * (bayesian["accuracy"] - twin["accuracy"])
    # Accuracies are whole numbers of images: a tolerance far below one image hides no miss.
    rows = [
        ("accuracy at least the twin's less 0.1 points", f"{gain:+.2f} points", gain > -0.1 - 1e-6),
        (
            "NLL below the twin's",
            f"{quoted('nll', bayesian['nll'])} against {quoted('nll', twin['nll'])}",
            bayesian["nll"] < twin["nll"],
        ),
        ("AUROC at least 0.99", quoted("auroc", bayesian["auroc"]), bayesian["auroc"] >= 0.99),
    ]
    return [
        line([f"{NETWORKS[network]}, all-Bayesian: {target}", measured, "yes" if reached else "no"])
        for target, measured, reached in rows
    ]


def settings_line(record: dict, variant: str) -> str:
    """Return what a variant was trained with, in words."""
    settings = next(
        run["settings"] for run in record["runs"] if run["settings"]["variant"] == variant
    )
    words = [f"{settings['epochs']} epochs", f"learning rate up to {settings['learning_rate']:g}"]
    if settings["weight_decay"]:
        words.append(f"weight decay {settings['weight_decay']:g}")
    if variant != "twin":
        words.append(f"prior N(0, {settings['prior_std']:g}²)")
        words.append(f"initial standard deviation {settings['init_std']:g}")
        words.append(f"KL weight {settings['kl_weight']:g}")
    return f"- {VARIANTS[variant]}: {', '.join(words)}"


def search_sentence(search: dict) -> str:
    """Return how large the search was, and why its KL weights are not all 1."""
    run = min(
        (run for run in search["runs"] if run["settings"]["kl_weight"] == 1),
        key=lambda run: run["scores"]["nll"],
    )
    scores, settings = run["scores"], run["settings"]
    return (
        f"The search compared {len(search['runs'])} runs by their NLL on "
        f"{search['images'][1]:,} training images held out. With the KL weight 1 of the ELBO, "
        f"the {VARIANTS[settings['variant']]} network underfits: after {settings['epochs']} "
        f"epochs accuracy {quoted('accuracy', scores['accuracy'])} %, NLL "
        f"{quoted('nll', scores['nll'])} there. A lower weight is a tempered posterior."
    )


def table(record: dict, search: dict) -> str:
    """Return the Markdown that stands between the two marks on the page."""
    machine, summaries = record["machine"], record["summary"]
    place = machine["gpu"] if record["device"] == "cuda" else machine["cpu"]
    means = {(part["network"], part["variant"]): part["mean"] for part in summaries}
    training, test, foreign = (f"{count:,}" for count in record["images"])
    seeds = sorted({run["seed"] for run in record["runs"]})
    intro = (
        f"Measured on {machine['date']}: {place}, threads: {record['threads']}, "
        f"torch {machine['versions']['torch']}; {training} training and {test} test images, "
        f"{foreign} foreign ones from Fashion-MNIST; {record['draws']} draws a prediction. "
        f"Mean ± standard deviation over the seeds {', '.join(map(str, seeds))}."
    )
    results = [
        line(["network", "variant", *(heading for heading, _, _ in COLUMNS.values())]),
        line(["---"] * (2 + len(COLUMNS))),
        *(summary_line(summary) for summary in summaries),
    ]
    targets = [line(["target", "measured", "reached"]), line(["---"] * 3)]
    for network in dict.fromkeys(network for network, _ in means):
        targets += target_lines(network, means[network, "twin"], means[network, "all"])
    settings = [settings_line(record, variant) for variant in VARIANTS]
    parts = ([intro], results, targets, settings, [search_sentence(search)])
    return "\n\n".join("\n".join(part) for part in parts)


def write() -> None:
    """Write the page's table from the recorded results."""
    record, search = (json.loads(path.read_text()) for path in (RECORD, SEARCH_RECORD))
    write_table("accuracy", table(record, search))
