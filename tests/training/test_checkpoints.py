import copy
import io
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from helpers.saved_files import Payload, states_equal
from helpers.training_runs import Likelihood, train
from torch.distributions import Normal
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LinearLR,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

import bnn_tutorial as bt


def assert_same_run(first, second):
    assert states_equal(first[0], second[0])
    assert states_equal(first[1], second[1])
    for left, right in zip(first[2].records, second[2].records, strict=True):
        assert {**left, "seconds": 0} == {**right, "seconds": 0}


@pytest.mark.parametrize(
    ("call", "done"),
    [
        # Three batches an epoch: step 11 is in the middle of epoch 4.
        ("train(path, likelihood=Likelihood(11, kill))", 3),
        ("kill_in_the_middle_of_the_third_file(); train(path)", 2),
    ],
    ids=["in a step", "in a file"],
)
def test_a_run_that_is_killed_and_resumed_ends_with_the_same_numbers(tmp_path, call, done):
    path = tmp_path / "run.pt"
    program = f"import sys; from helpers.training_runs import *; path = sys.argv[1]; {call}"
    command = [sys.executable, "-c", program, str(path)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert len(torch.load(path, weights_only=True)["records"]) == done
    assert_same_run(train(path, resume=True), train())


@pytest.mark.parametrize(
    "keywords",
    [
        {"scheduler": lambda optimizer: MultiStepLR(optimizer, [4, 8, 12]), "clip_norm": 1.0},
        {"scheduler": lambda optimizer: OneCycleLR(optimizer, 0.02, total_steps=18)},
        {"mixed_precision": torch.float16, "noise_std": 0.01},  # the first gradients overflow
        {"kl_weight": bt.KLWarmup(4), "num_draws": 2},
        {"batch_size": None},
    ],
    ids=lambda keywords: " ".join(keywords),
)
def test_every_part_continues_where_it_was(tmp_path, keywords):
    path = tmp_path / "run.pt"
    train(path, epochs=4, checkpoint_every=3, **keywords)
    resumed = train(path, init=1, resume=True, **keywords)  # other weights, all overwritten
    assert_same_run(resumed, train(**keywords))
    assert resumed[2]["seconds"] == sorted(resumed[2]["seconds"])
    assert_same_run(train(path, resume=True, **keywords), resumed)  # nothing is left to do


class Halves:
    """A schedule of the KL weight that prints as an address."""

    def __call__(self, epoch, batch_sizes):
        return [0.5] * len(batch_sizes)


def test_an_object_at_another_address_is_the_same_setting(tmp_path):
    path, first, second = tmp_path / "run.pt", Halves(), Halves()
    train(path, epochs=1, kl_weight=first)
    assert len(train(path, epochs=2, kl_weight=second, resume=True)[2]) == 2


def test_without_a_seed_the_global_generator_continues(tmp_path):
    path = tmp_path / "run.pt"
    torch.manual_seed(8)
    whole = train(seed=None)
    torch.manual_seed(8)
    train(path, epochs=4, seed=None)
    torch.manual_seed(9)
    assert_same_run(train(path, seed=None, resume=True), whole)


def flip_a_bit(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:  # between its files there is padding
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        place = content.index(archive.read(largest)) + largest.file_size // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-7], lambda content: b"", flip_a_bit], ids=range(3)
)
def test_a_damaged_checkpoint_is_an_error_and_the_one_before_it_continues(tmp_path, damage):
    path = tmp_path / "run.pt"
    train(path, epochs=3)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"run\.pt' is damaged.*rename run\.pt\.previous"):
        train(path, resume=True)
    path.with_name("run.pt.previous").replace(path)
    assert len(torch.load(path, weights_only=True)["records"]) == 2
    assert_same_run(train(path, resume=True), train())


def test_a_checkpoint_with_code_is_an_error_and_the_code_does_not_run(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "run.pt"
    torch.save(Payload(str(trace)), path)
    torch.load(path, weights_only=False).close()
    assert trace.exists()
    trace.unlink()
    with pytest.raises(ValueError, match=r"run\.pt' is damaged"):
        train(path, resume=True)
    assert not trace.exists()


def test_a_file_of_something_else_is_an_error(tmp_path):
    torch.save({"weights": torch.ones(2)}, tmp_path / "run.pt")
    with pytest.raises(ValueError, match="it holds something else"):
        train(tmp_path / "run.pt", resume=True)


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"seed": 5}, "seed=4, not 5"),
        ({"batch_size": 8}, "batch_size=16, not 8"),
        ({"num_data": 39}, "num_data=40, not 39"),
        ({"num_draws": 2}, "num_draws=1, not 2"),
        ({"kl_weight": bt.KLWarmup(2)}, r"kl_weight=1\.0, not KLWarmup\(epochs=2, weight=1\.0\)"),
        ({"clip_norm": 1.0}, r"clip_norm=None, not 1\.0"),
        ({"mixed_precision": torch.bfloat16}, "mixed_precision=None, not torch.bfloat16"),
        ({"learning_rate": 0.02}, r"optimizer=Adam .*'lr': 0\.01.*, not Adam .*'lr': 0\.02"),
        ({"scheduler": lambda optimizer: StepLR(optimizer, 2)}, "scheduler=None, not StepLR"),
        ({"prior": Normal(0.0, 2.0)}, r"model=.*BayesianLinear.*, not .*BayesianLinear"),
        ({"epochs": 1}, r"epochs=1: .*run\.pt' already holds 2"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_other_settings_are_an_error(tmp_path, keywords, words):
    train(tmp_path / "run.pt", epochs=2)
    with pytest.raises(ValueError, match=words):
        train(tmp_path / "run.pt", resume=True, **keywords)


def test_a_scheduler_with_another_shape_is_an_error(tmp_path):
    settings = {"epochs": 2, "scheduler": lambda optimizer: StepLR(optimizer, 5, gamma=0.5)}
    train(tmp_path / "run.pt", **settings)
    settings["scheduler"] = lambda optimizer: StepLR(optimizer, 5, gamma=0.1)
    with pytest.raises(ValueError, match=r"StepLR .*'gamma': 0\.5.*, not StepLR .*'gamma': 0\.1"):
        train(tmp_path / "run.pt", resume=True, **settings)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer, epochs: CosineAnnealingLR(optimizer, 3 * epochs, eta_min=1e-4),
        lambda optimizer, epochs: OneCycleLR(optimizer, 0.02, total_steps=3 * epochs),
        lambda optimizer, epochs: LinearLR(optimizer, 1.0, 0.1, total_iters=3 * epochs),
        lambda optimizer, epochs: SequentialLR(
            optimizer,
            [LinearLR(optimizer, 0.1, 1.0, 2), CosineAnnealingLR(optimizer, 3 * epochs - 2)],
            [2],
        ),
    ],
    ids=["cosine", "one cycle", "linear", "warm-up, then cosine"],
)
def test_a_longer_schedule_goes_on_as_if_it_had_been_there_from_the_start(tmp_path, schedule):
    path, rates = tmp_path / "run.pt", {}
    train(path, epochs=2, scheduler=lambda optimizer: schedule(optimizer, 2))
    for name, settings in {"whole": {}, "resumed": {"path": path, "resume": True}}.items():
        rates[name] = train(epochs=6, scheduler=lambda o: schedule(o, 6), **settings)[2]
    assert rates["resumed"]["learning_rate"][2:] == pytest.approx(
        rates["whole"]["learning_rate"][2:]
    )
    assert len({*rates["whole"]["learning_rate"]}) == 6


def test_a_file_that_does_not_fit_leaves_the_model_untouched(tmp_path):
    path = tmp_path / "run.pt"
    train(path, epochs=2)
    state = torch.load(path, weights_only=True)
    state["parts"]["optimizer"]["param_groups"] *= 2
    torch.save(state, path)
    caught = {}

    def keep(module, *_):
        caught.setdefault("model", module)
        caught.setdefault("before", copy.deepcopy(module))

    with pytest.raises(ValueError, match=r"run\.pt' is of another run: .*parameter groups"):
        train(path, resume=True, hook=keep)
    assert states_equal(caught["model"], caught["before"])


def test_a_checkpoint_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "run.pt"
    train(path, epochs=1)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"run\.pt' exists: expected resume=True"):
        train(path)
    assert path.read_bytes() == before
    with pytest.raises(FileNotFoundError, match="absent"):
        train(tmp_path / "absent" / "run.pt")


def test_a_loss_that_is_not_finite_leaves_the_last_good_checkpoint(tmp_path):
    path = tmp_path / "run.pt"
    with pytest.raises(bt.NonFiniteLossError):
        train(path, likelihood=Likelihood(8, lambda nll: nll * torch.nan))
    assert_same_run(train(path, resume=True), train())


def test_a_checkpoint_is_never_of_parameters_that_are_not_finite(tmp_path):
    # The last step of epoch 2 has a finite loss and a gradient that is not.
    def explode(nll):
        nll.register_hook(lambda gradient: gradient * torch.nan)
        return nll

    path = tmp_path / "run.pt"
    with pytest.raises(bt.NonFiniteLossError, match="parameters are not finite at step 6"):
        train(path, likelihood=Likelihood(6, explode))
    assert len(torch.load(path, weights_only=True)["records"]) == 1
