"""Does a posterior earn its rent? Ten ways to predict MNIST, by score and by cost.

Explained on the page "How fast, how accurate". ``--search`` trains every competitor at six
settings, one after the other, on a part of the training images and scores them on 5,000 others; the
test images are not even loaded. Without it, what the recorded search chose is trained from several
starts and scored once on the test images and on foreign ones; ``--table`` writes the page's table.
A run that is recorded is not repeated, so that a series continues where it was stopped. The data
lie where ``load_mnist`` looks: name the folder with BNN_TUTORIAL_DATA.
"""

import argparse
import contextlib
import functools
import json
import math
import os
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import comparison_table
import torch
from comparison_competitors import (
    BATCH_SIZE,
    COMPETITORS,
    LIKELIHOOD,
    NETWORKS,
    Task,
    draw,
    next_place,
    train_members,
)
from comparison_scores import NUM_RESAMPLES, difference, foreign_images, scores
from comparison_table import REFERENCE
from records import complete_record, first_line
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt

HELD_OUT, VALIDATION_DRAWS, SEARCH_RUNS = 5000, 10, 6
# Passes by the number of training images: fewer images, fewer steps, but more passes.
EPOCHS = {60_000: 10, 10_000: 30, 1_000: 150}


@functools.cache
def training_images(size: int, search: bool, device: str) -> tuple[TensorDataset, TensorDataset]:
    """Return what a search or a final run learns from, and the 5,000 images to choose by.

    Both are training images of MNIST in one random order. The last 5,000 are chosen by, and only a
    final run with all 60,000 learns from them too, when all choices are made.
    """
    data = bt.load_mnist(True, full=True)
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    learnt = order[: min(size, len(data) - HELD_OUT)] if search else order[:size]
    parts = (data[rows] for rows in (learnt, order[-HELD_OUT:]))
    first, second = (TensorDataset(*(part.to(device) for part in rows)) for rows in parts)
    return first, second


@functools.cache
def test_images() -> tuple[TensorDataset, dict[str, Tensor]]:
    """Return the test images and the foreign ones."""
    test = bt.load_mnist(False, full=True)
    return test, foreign_images(test)


def seconds(device: str) -> float:
    """Return the time of a clock, on a CPU one that other programs don't move."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def trained(
    name: str, task: Task, setting: dict[str, float], device: str
) -> tuple[list[nn.Module], float]:
    """Train what a competitor consists of; return it, and the seconds that it took."""
    began = seconds(device)
    models = train_members(name, task, setting)
    return models, seconds(device) - began


def searched(
    network: str, size: int, name: str, number: int, *, earlier: Sequence[dict], device: str
) -> dict:
    """Train at the setting that follows from the earlier runs; score it on images it never saw.

    The twin's run also holds the temperature that is best there, and is scored at it. One that
    diverged has no scores.
    """
    competitor = COMPETITORS[name]
    assert competitor.regularizer is not None
    own = {"network": network, "size": size, "competitor": name}
    tried = {tuple(run["place"]): nll(run) for run in earlier if own.items() <= run.items()}
    place = next_place(tried)
    data, held_out = training_images(size, True, device)
    setting = competitor.regularizer.setting(place)
    found = own | {"number": number, "place": place, "setting": setting, "scores": None}
    try:
        models, took = trained(name, Task(network, data, EPOCHS[size], 0), setting, device)
    except bt.NonFiniteLossError:
        return found
    images, labels = held_out.tensors
    logits = draw(name, models, images, min(VALIDATION_DRAWS, max(competitor.draws)))
    if name == REFERENCE[0]:
        found["temperature"] = 1.0
        with contextlib.suppress(ValueError):  # no other is better where logits say nothing
            found["temperature"] = bt.TemperatureScaling().fit(logits[0], labels).temperature
        logits = logits / found["temperature"]
    return found | {"scores": LIKELIHOOD.metrics(logits, labels), "training_seconds": took}


def nll(run: dict) -> float:
    """Return a search run's NLL, infinite of one that diverged."""
    return run["scores"]["nll"] if run["scores"] else math.inf


def measured(network: str, size: int, seed: int, name: str, *, chosen: dict, device: str) -> dict:
    """Train a competitor at its chosen setting; return its scores on the test images."""
    competitor = COMPETITORS[name]
    choice = chosen[network, size, competitor.settings_of or name]
    data, _ = training_images(size, False, device)
    task = Task(network, data, EPOCHS[size], seed)
    models, took = trained(name, task, choice["setting"], device)
    test, foreign = test_images()
    predictions = {}
    for num_draws in competitor.draws:
        began = seconds(device)
        own = draw(name, models, test.tensors[0], num_draws).cpu()
        predicting = seconds(device) - began
        others = {kind: draw(name, models, x, num_draws).cpu() for kind, x in foreign.items()}
        temperatures = {"one pass" if num_draws == 1 else f"{num_draws} draws": 1.0}
        if name == REFERENCE[0]:
            temperatures[REFERENCE[1]] = choice["temperature"]
        for words, temperature in temperatures.items():
            odd = {kind: logits / temperature for kind, logits in others.items()}
            found = scores(own / temperature, test.tensors[1], odd)
            predictions[words] = {"draws": num_draws, "seconds": predicting} | found
    return {
        "network": network,
        "size": size,
        "seed": seed,
        "competitor": name,
        "setting": choice["setting"],
        "training_seconds": took,
        "predictions": predictions,
    }


def choices(runs: Iterable[dict]) -> dict[tuple[str, int, str], dict]:
    """Return the run with the lowest validation NLL, by network, size and competitor.

    Only where a search has ended.
    """
    groups: dict[tuple[str, int, str], list[dict]] = {}
    for run in runs:
        groups.setdefault((run["network"], run["size"], run["competitor"]), []).append(run)
    return {key: min(group, key=nll) for key, group in groups.items() if len(group) == SEARCH_RUNS}


def search_summaries(runs: list[dict]) -> list[dict]:
    """Return what was chosen."""
    return [
        {"network": network, "size": size, "competitor": name, "setting": run["setting"]}
        for (network, size, name), run in choices(runs).items()
    ]


def summaries(runs: list[dict]) -> list[dict]:
    """Return, by network, size and prediction, means, spread and how it differs from the twin.

    ``std`` is between starts, and None of one; ``cost`` holds medians. ``lower`` is how much lower
    a score is than that of the twin at its temperature from the same starts: value, low and high
    of a 95 % interval.
    """
    groups: dict[tuple, dict[int, dict]] = {}
    for run in runs:
        for words, found in run["predictions"].items():
            key = (run["network"], run["size"], run["competitor"], words)
            found = found | {"training_seconds": run["training_seconds"]}
            groups.setdefault(key, {})[run["seed"]] = found
    rows = []
    for (network, size, name, words), by_seed in groups.items():
        columns = {
            score: [found["scores"][score] for found in by_seed.values()]
            for score in next(iter(by_seed.values()))["scores"]
        }
        twins = groups.get((network, size, *REFERENCE), {})
        common = [seed for seed in by_seed if seed in twins and (name, words) != REFERENCE]
        lower = {}
        for score in columns if common else ():
            ours, theirs = ([group[seed] for seed in common] for group in (by_seed, twins))
            interval = difference(ours, theirs, score)
            if interval is not None:
                lower[score] = [interval.value, interval.low, interval.high]
        rows.append(
            {
                "network": network,
                "size": size,
                "competitor": name,
                "prediction": words,
                "seeds": len(by_seed),
                "mean": {score: statistics.fmean(values) for score, values in columns.items()},
                "std": {
                    score: statistics.stdev(values) if len(values) > 1 else None
                    for score, values in columns.items()
                },
                "cost": {
                    cost: statistics.median(found[cost] for found in by_seed.values())
                    for cost in ("training_seconds", "seconds")
                },
                "lower": lower,
            }
        )
    return rows


def main(argv: list[str] | None = None) -> None:
    """Search, or train and score what was chosen, or write the page's table."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--search", action="store_true", help="choose every competitor's settings")
    parser.add_argument("--table", action="store_true", help="only write the page's table")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--sizes", nargs="+", type=int, choices=EPOCHS, default=[*EPOCHS])
    parser.add_argument("--competitors", nargs="+", choices=COMPETITORS, default=[*COMPETITORS])
    parser.add_argument("--seeds", type=int, default=5, help="how many starts (default: 5)")
    parser.add_argument(
        "--jobs", type=int, default=min(4, os.cpu_count() or 1), help="runs side by side"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, help="the JSON file; default in benchmarks/results")
    arguments = parser.parse_args(argv)
    if arguments.table:
        comparison_table.write()
        return
    settings = {"device": arguments.device, "epochs": EPOCHS, "batch_size": BATCH_SIZE}
    cells = [(network, size) for network in arguments.networks for size in arguments.sizes]
    if arguments.search:
        path = arguments.output or comparison_table.SEARCH_RECORD
        names = [name for name in arguments.competitors if COMPETITORS[name].regularizer]
        for number in range(SEARCH_RUNS):  # each follows from those before
            earlier = json.loads(path.read_text())["runs"] if path.is_file() else []
            complete_record(
                path,
                plan=[(*cell, name, number) for cell in cells for name in names],
                run=functools.partial(searched, earlier=earlier, device=arguments.device),
                key=lambda run: (run["network"], run["size"], run["competitor"], run["number"]),
                summaries=search_summaries,
                settings=settings | {"held_out": HELD_OUT, "draws": VALIDATION_DRAWS},
                jobs=arguments.jobs,
            )
        return
    chosen = choices(json.loads(comparison_table.SEARCH_RECORD.read_text())["runs"])
    for cell in cells:
        for name in arguments.competitors:
            if (*cell, COMPETITORS[name].settings_of or name) not in chosen:
                parser.error(f"{name} on {cell}: its search has not ended; --search")
    complete_record(
        arguments.output or comparison_table.RECORD,
        plan=[
            (*cell, seed, name)
            for cell in cells
            for seed in range(arguments.seeds)
            for name in arguments.competitors
        ],
        run=functools.partial(measured, chosen=chosen, device=arguments.device),
        key=lambda run: (run["network"], run["size"], run["seed"], run["competitor"]),
        summaries=summaries,
        settings=settings | {"resamples": NUM_RESAMPLES},
        jobs=arguments.jobs,
    )


if __name__ == "__main__":
    main()
