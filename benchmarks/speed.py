"""How fast training, prediction and the closed forms are, beside the twin and other libraries.

Explained on the page "How fast, how accurate". One run, one thread: in every round each contender
works once, in a random order, and ratios are formed within a round, so that a machine that changes
its pace changes both sides of a ratio. ``make benchmark`` installs the peers, measures and writes
the table there.
"""

import argparse
import datetime
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import peers
import speed_table
import torch
from records import first_line, machine, write_record
from torch import Tensor, nn
from tqdm import tqdm

import bnn_tutorial as bt

DRAWS = 10_000
# glibc otherwise gives freed tensors back to the system, and asks for them again, at a rate that
# depends on the heap's layout: the same step of the regression then takes 0.5 ms or 2.
ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**30)}
Work = Callable[[], object]
Seconds = dict[str, list[float]]


def quartiles(values: list[float]) -> dict[str, float]:
    """Return the median and the quartiles around it, of two values or more."""
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"lower_quartile": lower, "median": median, "upper_quartile": upper}


def fastest(seconds: Seconds, names: list[str]) -> str:
    """Return the one of ``names`` whose median time is the least."""
    return min(names, key=lambda name: statistics.median(seconds[name]))


def summarized(seconds: Seconds, reference: str) -> dict:
    """Return each contender's median time, and its ratios to ``reference`` formed round by round.

    Args:
        seconds: by contender, one time a round; two rounds or more.
        reference: the contender whose time is 1.
    """
    contenders = {}
    for name, times in seconds.items():
        ratios = [own / base for own, base in zip(times, seconds[reference], strict=True)]
        milliseconds = 1e3 * statistics.median(times)
        contenders[name] = {"milliseconds": milliseconds, "ratio": quartiles(ratios)}
    rounds = len(seconds[reference])
    return {"reference": reference, "rounds": rounds, "contenders": contenders}


def prepared(builders: dict[str, Callable[[], Work]]) -> tuple[dict[str, Work], dict[str, str]]:
    """Build each contender's work and run it once; return the works, and the errors, by name."""
    works, errors = {}, {}
    for name, build in builders.items():
        try:
            work = build()
            work()
        except Exception as error:  # another library may fail in any way: the table says how
            errors[name] = f"{type(error).__name__}: {error}"
        else:
            works[name] = work
    return works, errors


def timed(works: dict[str, Work], *, rounds: int, repeats: dict[str, int], device: str) -> Seconds:
    """Time each contender once a round, in a random order; return the seconds of one work.

    Args:
        works: by contender.
        rounds: 2 or more.
        repeats: how often a contender works between two readings of the clock; 1 if not named.
        device: on ``"cuda"`` the wall clock is read when the card has finished; on a CPU, where one
            thread does it all, its own time is, in which other programs have no part.
    """

    def clock() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    order = random.Random(0)
    names = list(works)
    seconds: Seconds = {name: [] for name in names}
    for _ in tqdm(range(rounds), unit="round"):
        order.shuffle(names)
        for name in names:
            count = repeats.get(name, 1)
            start = clock()
            for _ in range(count):
                works[name]()
            seconds[name].append((clock() - start) / count)
    return seconds


def training_step(
    library: Callable[..., peers.Contender],
    network: nn.Module,
    criterion: nn.Module,
    data: tuple[Tensor, Tensor],
    num_data: int,
    fused: bool,
) -> Work:
    """Return one full step of training: forward, KL, backward and Adam."""
    x, y = data
    contender = library(network, criterion, num_data)
    contender.model.to(x.device).train()
    optimizer = torch.optim.Adam(contender.model.parameters(), lr=1e-4, fused=fused)

    def step() -> Tensor:
        optimizer.zero_grad()
        loss = contender.loss(x, y)
        loss.backward()
        optimizer.step()
        return loss

    if not torch.isfinite(step()):
        raise ValueError("the loss is not finite")
    return step


def drawn_by_loop(model: nn.Module, x: Tensor, num_samples: int) -> Work:
    """Return the drawing as it is written without :func:`bt.predict`."""
    model.to(x.device).eval()

    @torch.no_grad()
    def loop() -> Tensor:
        return torch.stack([model(x) for _ in range(num_samples)])

    return loop


def measure_regression_step(device: str, fused: bool, rounds: int | None) -> dict:
    """Time a step on the 1-1000-1 network with 500 points, in ratios to the twin's."""
    data = torch.randn(500, 1, device=device), torch.randn(500, 1, device=device)
    libraries = {
        "twin": peers.twin,
        "ours, weight": peers.ours("weight"),
        "ours, plain loop": peers.ours_in_a_plain_loop,
        **peers.WEIGHT,
    }
    task = (bt.regression_network(), nn.MSELoss(), data, 500, fused)
    works, errors = prepared({n: partial(training_step, b, *task) for n, b in libraries.items()})
    repeats = dict.fromkeys(works, 30)
    seconds = timed(works, rounds=rounds or 60, repeats=repeats, device=device)
    return summarized(seconds, "twin") | {"errors": errors}


def measure_mnist_step(device: str, fused: bool, rounds: int | None) -> dict:
    """Time a step on the MNIST CNN with a batch of 128, in ratios to the twin's."""
    data = torch.randn(128, 1, 28, 28, device=device), torch.randint(10, (128,), device=device)
    estimators = ("weight", "local", "flipout")
    libraries = {
        "twin": peers.twin,
        **{f"ours, {estimator}": peers.ours(estimator) for estimator in estimators},
        **peers.WEIGHT,
        **peers.LOCAL,
        **peers.FLIPOUT,
    }
    task = (bt.mnist_network(), nn.CrossEntropyLoss(), data, 60_000, fused)
    works, errors = prepared({n: partial(training_step, b, *task) for n, b in libraries.items()})
    seconds = timed(works, rounds=rounds or 60, repeats={}, device=device)
    return summarized(seconds, "twin") | {"errors": errors}


def regression_posterior(device: str) -> tuple[nn.Module, Tensor]:
    """Return the 1-1000-1 network with the ``weight`` estimator, and 300 points."""
    model = bt.to_bayesian(bt.regression_network(), estimator="weight").to(device)
    return model, torch.linspace(-3, 3, 300, device=device)[:, None]


def measure_regression_draws(device: str, fused: bool, rounds: int | None) -> dict:
    """Time 10,000 draws at 300 points, in ratios to the fastest peer's loop."""
    model, x = regression_posterior(device)

    def loop(library: Callable[..., peers.Contender]) -> Work:
        contender = library(bt.regression_network(), nn.MSELoss(), 500)
        return drawn_by_loop(contender.model, x, DRAWS)

    works, errors = prepared(
        {
            "ours, predict": lambda: partial(bt.predict, model, x, DRAWS),
            "ours, exact_moments": lambda: partial(bt.exact_moments, model, x),
            **{name: partial(loop, library) for name, library in peers.WEIGHT.items()},
        }
    )
    repeats = {"ours, exact_moments": 100}
    seconds = timed(works, rounds=rounds or 7, repeats=repeats, device=device)
    reference = fastest(seconds, [name for name in peers.WEIGHT if name in works])
    return summarized(seconds, reference) | {"errors": errors}


def measure_head_draws(device: str, fused: bool, rounds: int | None) -> dict:
    """Time 10 draws at 1,000 images, Bayesian head and deterministic trunk, against the loop."""
    model = bt.to_bayesian(bt.mnist_network(), skip=("trunk",)).to(device)
    images = torch.randn(1000, 1, 28, 28, device=device)
    works, errors = prepared(
        {
            "ours, predict": lambda: partial(bt.predict, model, images, 10),
            "plain loop": lambda: drawn_by_loop(model, images, 10),
        }
    )
    seconds = timed(works, rounds=rounds or 9, repeats={}, device=device)
    return summarized(seconds, "plain loop") | {"errors": errors}


def process_bytes(field: str) -> int:
    """Return an entry of Linux's account of this process, such as VmHWM, the highest VmRSS.

    Not getrusage's ru_maxrss, which a process inherits from the one that started it.
    """
    status = dict(
        entry.split(":", 1) for entry in Path("/proc/self/status").read_text().splitlines()
    )
    return 1024 * int(status[field].split()[0])


def added_megabytes(device: str) -> float:
    """Return the peak memory of 10,000 draws at 300 points, beyond what was there and the result.

    To be called in a fresh process. On a CPU: the highest resident size after the draws, less the
    resident size before them, less the result; on CUDA the same of the card's allocator.
    """
    torch.set_num_threads(1)
    model, x = regression_posterior(device)
    bt.predict(model, x, 10)  # libraries that are loaded at first use are no memory of the draws
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = bt.predict(model, x, DRAWS).samples.nbytes
        return (torch.cuda.max_memory_allocated() - before - result) / 1e6
    before = process_bytes("VmRSS")
    result = bt.predict(model, x, DRAWS).samples.nbytes
    return (process_bytes("VmHWM") - before - result) / 1e6


def measure(device: str, fused: bool, rounds: int | None) -> dict:
    """Measure everything on one device."""
    works = {
        "regression_step": measure_regression_step,
        "mnist_step": measure_mnist_step,
        "regression_draws": measure_regression_draws,
        "head_draws": measure_head_draws,
    }
    results = {}
    for name, work in works.items():
        print(f"{device}: {name}", file=sys.stderr)
        results[name] = work(device, fused, rounds)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh_process:
        results["added_megabytes"] = fresh_process.submit(added_megabytes, device).result()
    return results


def main() -> None:
    """Measure, or write the page's table from what was measured."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--table", action="store_true", help="only write the page's table")
    parser.add_argument("--rounds", type=int, help="of every measurement, for a quick look")
    parser.add_argument("--optimizer", choices=("fused", "default"), default="fused")
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    parser.add_argument("--output", type=Path, default=speed_table.RECORD)
    arguments = parser.parse_args()
    if arguments.table:
        speed_table.write()
        return
    if arguments.rounds is not None and arguments.rounds < 2:
        parser.error(f"--rounds {arguments.rounds}: expected 2 or more")
    computer = machine(arguments.date, ("torch", *peers.PACKAGES))
    if all(computer["versions"][package] == "not installed" for package in peers.PACKAGES):
        parser.error(
            "no library to compare with is installed: expected to be run by make benchmark"
        )
    if not ALLOCATOR.items() <= os.environ.items():
        # Read when a process starts, so this one starts again.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ALLOCATOR)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    fused = arguments.optimizer == "fused"
    record = {
        "machine": computer,
        "settings": {
            "threads": 1,
            "optimizer": f"torch.optim.Adam, {arguments.optimizer}",
            "allocator": ALLOCATOR,
        },
        "devices": {device: measure(device, fused, arguments.rounds) for device in devices},
    }
    write_record(record, arguments.output)


if __name__ == "__main__":
    main()
