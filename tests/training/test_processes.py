"""Two processes on a CPU, started by torchrun, beside one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.monte_carlo import assert_mean, assert_variance
from torch import nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    TensorDataset,
)

import bnn_tutorial as bt
from bnn_tutorial.training.processes import Processes

NOISE_STD, TARGET, KL_WEIGHT = 0.5, 1.5, 2000.0


class Recording(torch.optim.SGD):
    """Gradient descent that keeps every gradient it saw."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr=lr)
        self.gradients = []

    def step(self, *arguments):
        parameters = [p for group in self.param_groups for p in group["params"]]
        self.gradients.append(torch.cat([p.grad.flatten() for p in parameters]))
        return super().step(*arguments)


def data(num_points=11):
    # Batches of 4, 4 and 3: parts of 2 and 2, then of 2 and 1.
    x = torch.linspace(-1, 1, num_points)[:, None]
    return TensorDataset(x, x.square())


def network():
    with bt.seeded(0):
        return nn.Sequential(bt.BayesianLinear(1, 4), nn.Tanh(), bt.BayesianLinear(4, 1))


class Items(Dataset):
    """Rows that come one by one."""

    def __init__(self, tensors):
        self.tensors = tensors

    def __len__(self):
        return len(self.tensors)

    def __getitem__(self, row):
        return self.tensors[row]


def items(num_points):
    return Items(data(num_points))


def loader(num_points):
    return DataLoader(items(num_points), batch_size=4, shuffle=True, num_workers=1)


def train_by_means(num_points=11, checkpoint=None, kind=data, **keywords):
    """Train without sampling, so that one process and two must agree."""
    model, likelihood = network(), bt.GaussianLikelihood(NOISE_STD)
    parameters = [*model.parameters(), *likelihood.parameters()]
    optimizer = Recording(parameters, lr=0.1)
    settings = {"epochs": 3, "seed": 3, "progress": False} | keywords
    settings |= {} if kind is loader else {"batch_size": 4}
    with bt.posterior_mean(model):
        history = bt.fit(
            model,
            kind(num_points),
            likelihood,
            optimizer=optimizer,
            validation=kind(5),
            checkpoint=checkpoint,
            **settings,
        )
    return {
        "parameters": torch.cat([parameter.detach().flatten() for parameter in parameters]),
        "gradients": torch.stack(optimizer.gradients),
        "records": history.records,
    }


def sample_gradients():
    """Return the gradients of a weight's posterior at rest, and the weights drawn for them."""
    with bt.seeded(0):
        model = bt.BayesianLinear(1, 1, bias=False, init_std=0.3, estimator="weight")
    drawn = []
    x = torch.ones(600, 1)
    model.register_forward_hook(lambda module, arguments, output: drawn.append(output[0].item()))
    optimizer = Recording(model.parameters(), lr=0.0)
    bt.fit(
        model,
        TensorDataset(x, TARGET * x),
        bt.GaussianLikelihood(NOISE_STD, learn=False),
        epochs=12,
        batch_size=6,
        kl_weight=KL_WEIGHT,
        optimizer=optimizer,
        seed=7,
        progress=False,
    )
    return {"gradients": torch.stack(optimizer.gradients), "drawn": torch.tensor(drawn)}


def train_with_batch_norm():
    """Return the buffers after training, which see another part of the batch in each process."""
    with bt.seeded(0):
        model = nn.Sequential(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    settings = {"epochs": 2, "batch_size": 6, "seed": 1, "progress": False}
    history = bt.fit(model, data(), bt.GaussianLikelihood(), validation=data(5), **settings)
    return {"state": model.state_dict(), "records": history.records}


def fail_in_one_process(rank):
    """Return at which step the processes stop when the loss of process 1 is NaN at step 2."""
    calls = 0

    class Likelihood(bt.GaussianLikelihood):
        def forward(self, output, target):
            nonlocal calls
            calls += 1
            nll = super().forward(output, target)
            return nll * torch.nan if rank == 1 and calls == 2 else nll

    try:
        bt.fit(network(), data(), Likelihood(), epochs=2, batch_size=4, seed=1, progress=False)
    except bt.NonFiniteLossError as error:
        return error.step


def errors():
    found = {}
    try:
        bt.fit(network(), data(), bt.GaussianLikelihood(), epochs=1, progress=False)
    except ValueError as error:
        found["seed"] = str(error)
    shared = DataLoader(data(), 4, sampler=DistributedSampler(data()))
    for name, its_data in {"sampler": shared, "stream": DataLoader(Stream(), 4)}.items():
        try:
            settings = {"epochs": 1, "num_data": 11, "seed": 1, "progress": False}
            bt.fit(network(), its_data, bt.GaussianLikelihood(), **settings)
        except ValueError as error:
            found[name] = str(error)
    return found


class Stream(IterableDataset):
    def __iter__(self):
        return iter(data())


def main(folder):
    """What each of the processes does; it leaves its results in a file of its own."""
    alone = {}
    try:
        bt.fit(network(), data(), bt.GaussianLikelihood(), epochs=1, progress=False)
    except RuntimeError as error:
        alone["joined"] = str(error)
    with bt.process_group() as device:
        rank = int(os.environ["RANK"])
        run = folder / "run.pt"
        train_by_means(epochs=2, checkpoint=run)
        results = {
            "device": str(device),
            "errors": alone | errors(),
            "means": train_by_means(),
            "resumed": train_by_means(checkpoint=run, resume=True),
            "few rows": train_by_means(num_points=9),
            "items": train_by_means(kind=items),
            "loader": train_by_means(kind=loader),
            "sampled": sample_gradients(),
            "batch norm": train_with_batch_norm(),
            "failed at": fail_in_one_process(rank),
            "shown": bt.fit(
                network(), data(), bt.GaussianLikelihood(), epochs=1, seed=1, progress=True
            ).records,
        }
    torch.save(results, folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Run this file in two processes and return the results of each."""
    folder = tmp_path_factory.mktemp("distributed")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node", "2", __file__, str(folder)]
    helpers = str(Path(__file__).parents[1])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment["PYTHONPATH"] = os.pathsep.join([helpers, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=Path(__file__).parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    return first, second, done.stderr


def without_seconds(records):
    return [
        {name: value for name, value in record.items() if name != "seconds"} for record in records
    ]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("means", {}),
        ("few rows", {"num_points": 9}),
        ("items", {"kind": items}),
        ("loader", {"kind": loader}),
    ],
)
def test_without_sampling_two_processes_do_what_one_does(two, name, settings):
    one = train_by_means(**settings)
    for result in (part[name] for part in two[:2]):
        torch.testing.assert_close(result["gradients"], one["gradients"], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(result["parameters"], one["parameters"], rtol=1e-5, atol=1e-6)
        for record, expected in zip(result["records"], one["records"], strict=True):
            expected["seconds"] = record["seconds"]
            assert record == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["means", "few rows", "sampled", "resumed"])
def test_all_processes_hold_the_same_gradients_and_parameters(two, name):
    first, second = (part[name] for part in two[:2])
    for key in {"gradients", "parameters"} & set(first):
        assert torch.equal(first[key], second[key])
    assert first.get("records") == second.get("records")


def test_each_process_draws_its_own_weights(two):
    # The first is the check's, which takes the mean.
    first, second = (part["sampled"]["drawn"][1:] for part in two[:2])
    assert not (first == second).any()
    deviations = [drawn - drawn.mean() for drawn in (first, second)]
    assert_mean(deviations[0] * deviations[1], 0.0)


def test_the_gradient_of_draws_is_the_mean_of_independent_ones(two):
    # E_q of the NLL of a target y at x = 1 is ((y - m)^2 + s^2) / 2 noise^2 and a constant.
    gradients = two[0]["sampled"]["gradients"]
    with bt.seeded(0):
        model = bt.BayesianLinear(1, 1, bias=False, init_std=0.3).double()
    error = (TARGET - model.weight_mean).square() + model.weight_std.square()
    kl = KL_WEIGHT * bt.kl_divergence(model) / 600
    (error.sum() / (2 * NOISE_STD**2) + kl).backward()
    exact = torch.stack([model.weight_mean.grad, model.weight_rho.grad]).flatten()
    assert_mean(gradients, exact)
    # Twice the draws, half the variance: s^2 / noise^4 for the mean's gradient with one draw.
    variance = model.weight_std.item() ** 2 / NOISE_STD**4 / 2
    assert_variance(gradients[:, 0], variance)


def test_averages_of_batch_normalization_are_equal_in_all_processes(two):
    first, second = (part["batch norm"] for part in two[:2])
    assert first["records"] == second["records"]
    assert first["state"].keys() == second["state"].keys()
    for name, value in first["state"].items():
        assert torch.equal(value, second["state"][name])


def test_a_run_of_two_processes_resumes_with_the_same_numbers(two):
    for part in two[:2]:
        resumed, whole = part["resumed"], part["means"]
        assert torch.equal(resumed["parameters"], whole["parameters"])
        assert without_seconds(resumed["records"]) == without_seconds(whole["records"])


def test_a_loss_that_is_not_finite_in_one_process_stops_all(two):
    assert [part["failed at"] for part in two[:2]] == [2, 2]


def test_process_0_alone_shows_the_progress(two):
    assert two[2].count("1/1") == 1


def test_what_a_program_can_get_wrong_is_said(two):
    for part in two[:2]:
        assert part["device"] == "cpu"
        assert "would each train alone" in part["errors"]["joined"]
        assert "seed=None in 2 processes" in part["errors"]["seed"]
        assert "data has a DistributedSampler" in part["errors"]["sampler"]
        assert "no order of their own in 2 processes" in part["errors"]["stream"]


def test_a_batch_is_split_without_a_row_lost_or_taken_twice():
    for size in (1, 2, 3, 8, 11):
        rows = torch.arange(100, 100 + size)
        parts = [Processes(rank, 3).part(rows) for rank in range(3)]
        taken = torch.cat([mine for mine, weight in parts if weight > 0])
        assert taken.sort().values.tolist() == rows.tolist()
        for mine, weight in parts:
            assert weight in (0, pytest.approx(3 * len(mine) / size))
        means = sum(weight * mine.double().mean() for mine, weight in parts) / 3
        assert means.item() == pytest.approx(rows.double().mean().item())


def test_seeds_of_processes_differ_from_each_other_and_from_those_of_the_next_run():
    seeds = [Processes(rank, 4).seed(seed) for seed in (0, 1, 2) for rank in range(4)]
    assert len(set(seeds)) == len(seeds)
    assert Processes(0, 4).seed(5) == 5
    assert Processes(2, 3).seed(5) == Processes(2, 8).seed(5)


def test_without_torchrun_there_is_one_process():
    assert Processes.current() == Processes(0, 1)
    with bt.process_group() as device:
        assert not torch.distributed.is_initialized()
        assert device.type in ("cpu", "cuda")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
