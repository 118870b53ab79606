"""The command line, called in process, against the functions of the package that it stands on."""

import argparse
import dataclasses
import errno
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch.distributions import Laplace, MixtureSameFamily, Normal
from torch.utils.data import TensorDataset

import bnn_tutorial as bt
from bnn_tutorial.command_line import argument_types, building, experiment, main, train
from bnn_tutorial.command_line.arguments import COMMANDS, PROGRAM, make_parser
from bnn_tutorial.command_line.training_arguments import ESTIMATORS
from bnn_tutorial.layers import bayesian

CURVE = "--model regression --data polynomial --hidden-features 8 --num-train 40 --num-test 50"
CURVE = [*CURVE.split(), "--epochs", "4", "--batch-size", "16", "--num-samples", "5", "--quiet"]
DIGITS = "--model mnist --data mnist --num-train 200 --num-test 60 --epochs 1 --num-samples 3"
DIGITS = [*DIGITS.split(), "--quiet"]


def record_of(folder):
    return json.loads((folder / "record.json").read_text())


def history_of(folder):
    """What was measured in each epoch, without the time it took."""
    records = record_of(folder)["history"]
    return [{name: record[name] for name in record if name != "seconds"} for record in records]


@pytest.fixture
def curve(tmp_path):
    folder = tmp_path / "curve"
    assert main(["train", *CURVE, "--prior", "normal:0,2", "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folders") / "digits"
    options = ["--bayesian", "head", "--prior", "laplace:0,0.1", "--learning-rate", "0.003"]
    assert main(["train", *DIGITS, *options, "--epochs", "2", "--output", str(folder)]) == 0
    return folder


def trained_digits(folder):
    """The model in ``folder`` and its test images, by the package's own functions."""
    model = bt.to_bayesian(bt.mnist_network(), prior=Laplace(0.0, 0.1), skip=("trunk",))
    bt.load_model(torch.nn.ModuleDict({"model": model}), folder / "model.safetensors")
    return model, *(tensor[:60] for tensor in bt.load_mnist(False).tensors)


# Training


def test_training_is_fit_with_the_same_settings(curve):
    with bt.seeded(0):
        network = bt.regression_network(8)
    model = bt.to_bayesian(network, prior=Normal(0.0, 2.0))
    generator = torch.Generator().manual_seed(0)
    data = TensorDataset(*bt.polynomial_data(40, generator=generator))
    likelihood = bt.GaussianLikelihood()
    history = bt.fit(
        model, data, likelihood, epochs=4, batch_size=16, seed=0, kl_weight=1.0, progress=False
    )
    assert [record["loss"] for record in history_of(curve)] == history["loss"]
    saved = safetensors.torch.load_file(curve / "model.safetensors")
    for part, module in (("model", model), ("likelihood", likelihood)):
        for name, value in module.state_dict().items():
            assert torch.equal(saved[f"{part}.{name}"], value), name


@pytest.mark.parametrize(
    "options",
    [
        "--bayesian none",
        "--estimator flipout --prior mixture:0.5,1,0.0025",
        "--estimator weight --kl-weight 0.1 --kl-schedule warm-up:2 --num-draws 2",
        "--kl-schedule blundell --clip-norm 0.5 --mixed-precision bfloat16",
        "--exact --learning-rate 0.01",
    ],
)
def test_options_reach_fit_and_the_layers(options, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        train, "fit", lambda *args, **options: calls.append((*args, options)) or bt.History()
    )
    assert main(["train", *CURVE, *options.split(), "--output", str(tmp_path / "new")]) == 0
    ((model, _, _, given),) = calls
    words = options.replace("--exact", "--exact True").split()
    settings = dict(zip(words[::2], words[1::2], strict=True))
    layers = bt.bayesian_layers(model)
    assert len(layers) == (0 if settings.get("--bayesian") == "none" else 2)
    assert {layer.estimator for layer in layers} <= {settings.get("--estimator", "local")}
    assert given["num_draws"] == int(settings.get("--num-draws", 1))
    assert given["clip_norm"] == (0.5 if "--clip-norm" in settings else None)
    assert given["expected_nll"] is (bt.exact_nll if "--exact" in settings else None)
    half = torch.bfloat16 if "--mixed-precision" in settings else None
    assert given["mixed_precision"] == half
    assert (
        given["kl_weight"]
        == {
            None: 1.0,
            "warm-up:2": bt.KLWarmup(2, 0.1),
            "blundell": bt.BlundellWeights(1.0),
        }[settings.get("--kl-schedule")]
    )
    recorded = record_of(tmp_path / "new")
    recorded = recorded["experiment"] | recorded["training"]
    for option, value in settings.items():
        assert str(recorded[option[2:].replace("-", "_")]) == value


def test_the_same_command_gives_the_same_numbers_and_another_seed_others(curve, tmp_path):
    again, other = tmp_path / "again", tmp_path / "other"
    options = [*CURVE, "--prior", "normal:0,2", "--output"]
    assert main(["train", *options, str(again)]) == 0
    assert main(["train", *options, str(other), "--seed", "1"]) == 0
    assert history_of(again) == history_of(curve)
    assert record_of(again)["results"] == record_of(curve)["results"]
    models = [(folder / "model.safetensors").read_bytes() for folder in (curve, again, other)]
    assert models[0] == models[1] != models[2]
    assert record_of(other)["results"] != record_of(curve)["results"]


def settings(**given):
    """The settings of an experiment, those that a test does not name left out."""
    return experiment.Experiment(
        **{field.name: given.get(field.name) for field in dataclasses.fields(experiment.Experiment)}
    )


def test_test_points_are_no_training_points_and_the_same_for_all_seeds():
    def points(seed, train):
        return building.make_dataset(
            settings(model="regression", data="polynomial", seed=seed), train
        ).tensors

    assert torch.equal(points(0, False)[1], points(7, False)[1])
    assert not torch.equal(points(0, True)[1], points(7, True)[1])
    assert len(points(0, True)[0]) == 500
    train_rows, test_rows = (
        set(map(tuple, torch.hstack(points(0, train)).tolist())) for train in (True, False)
    )
    assert not train_rows & test_rows


@pytest.mark.parametrize("bayesian", ["all", "head", "none"])
def test_the_layers_named_get_a_posterior(bayesian):
    chosen = settings(
        model="lenet5",
        data="mnist",
        bayesian=bayesian,
        prior="mixture:0.25,2,0.5",
        estimator="flipout",
        init_std=0.01,
        seed=0,
    )
    model = building.build(chosen).model
    num_layers = {"all": (2, 3), "head": (0, 3), "none": (0, 0)}[bayesian]
    assert tuple(len(bt.bayesian_layers(part)) for part in (model.trunk, model.head)) == num_layers
    for layer in bt.bayesian_layers(model):
        assert layer.estimator == "flipout"
        assert isinstance(layer.prior, MixtureSameFamily)
        torch.testing.assert_close(layer.weight_std, torch.full_like(layer.weight_std, 0.01))


@pytest.mark.parametrize("data", experiment.PUBLISHED)
@pytest.mark.parametrize("name", experiment.IMAGE_SIZES)
def test_every_network_takes_every_set_of_images(name, data, monkeypatch):
    chosen = settings(model=name, data=data, bayesian="none", seed=0)
    shape, num_classes = experiment.IMAGE_SHAPES[data], experiment.NUM_CLASSES[data]
    small = TensorDataset(torch.rand(2, *shape), torch.tensor([0, num_classes - 1]))
    monkeypatch.setitem(building.IMAGE_SETS, data, lambda train, full: small)
    monkeypatch.setitem(experiment.NUM_IMAGES, data, {True: 2, False: 2})
    images, labels = building.make_dataset(chosen, True).tensors
    assert building.build(chosen).model(images).shape == (2, num_classes)
    assert torch.equal(labels, small.tensors[1])
    frame = (images.shape[-1] - shape[-1]) // 2
    inside = images[..., frame : frame + shape[-1], frame : frame + shape[-1]]
    assert torch.equal(inside, small.tensors[0])
    torch.testing.assert_close(images.sum(), inside.sum())


def save_images(folder, names, number=5):
    """Images of one shade a class, of several sizes and modes."""
    for label, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(number):
            shade = 255 * label // max(1, len(names) - 1)
            image = Image.new("L", (20 + 9 * i, 40), shade).convert(("L", "RGB", "P")[i % 3])
            image.save(folder / name / f"{i}.png")
    return folder


PHOTOGRAPHS = "--model lenet5 --data folder --epochs 2 --batch-size 8 --num-samples 3 --quiet"


@pytest.mark.parametrize("bayesian", ["all", "head", "none"])
def test_a_folder_of_images_is_one_command(bayesian, tmp_path, capsys):
    images = save_images(tmp_path / "images", ("cat", "dog", "fox"))
    folder = tmp_path / "trained"
    options = ["--images", str(images), "--augment", "shift-and-flip", "--bayesian", bayesian]
    assert main(["train", *PHOTOGRAPHS.split(), *options, "--output", str(folder)]) == 0
    record = record_of(folder)
    assert record["classes"] == ["cat", "dog", "fox"]
    assert record["experiment"]["images"] == str(images)
    assert record["training"]["augment"] == "shift-and-flip"
    assert main(["evaluate", str(folder), "--num-samples", "3"]) == 0
    results = json.loads((folder / "evaluation.json").read_text())
    assert results["rows"] == 3  # a fifth of 15
    assert results["results"] == record["results"]

    (images / "cat").rename(images / "wolf")
    assert main(["evaluate", str(folder)]) == 2
    assert "has the classes ['dog', 'fox', 'wolf']: expected those" in capsys.readouterr().err
    shutil.rmtree(images)
    assert main(["evaluate", str(folder)]) == 2
    assert f"{images}: expected a folder of images" in capsys.readouterr().err


def test_a_folder_that_is_split_keeps_its_parts_and_one_that_is_not_shares_no_image(tmp_path):
    split, whole = tmp_path / "split", tmp_path / "whole"
    save_images(split / "train", ("cat", "dog"), 6)
    save_images(split / "test", ("dog",), 4)
    with pytest.raises(ValueError, match="cat: expected at least one image"):
        building.make_dataset(settings(model="lenet5", data="folder", images=str(split)), False)
    save_images(split / "test", ("cat",), 4)
    save_images(whole, ("cat", "dog"), 10)

    def rows(images, train, **options):
        chosen = settings(model="lenet5", data="folder", images=str(images), **options)
        return building.make_dataset(chosen, train).tensors

    assert rows(split, True)[1].bincount().tolist() == [6, 6]
    assert rows(split, False)[1].bincount().tolist() == [4, 4]
    parts = rows(whole, True), rows(whole, False)
    assert [len(labels) for _, labels in parts] == [16, 4]
    assert sum(labels.bincount(minlength=2) for _, labels in parts).tolist() == [10, 10]
    assert len(rows(whole, True, num_train=7)[1]) == 7
    with pytest.raises(ValueError, match="--num-test 5: expected at most 4, all there are"):
        rows(whole, False, num_test=5)


def test_augmented_images_are_those_of_the_package(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(
        train, "fit", lambda model, data, *rest, **options: given.append(data) or bt.History()
    )
    for name, augment in {"as they are": (), "shifted": ("--augment", "shift")}.items():
        options = [*DIGITS, "--bayesian", "none", *augment, "--output", str(tmp_path / name)]
        assert main(["train", *options]) == 0
    plain, shifted = given
    assert type(plain) is TensorDataset
    assert isinstance(shifted, bt.AugmentedImages)
    expected = bt.AugmentedImages(plain, max_shift=3)
    for row in range(5):
        with bt.seeded(row):
            one = shifted[row][0]
        with bt.seeded(row):
            assert torch.equal(one, expected[row][0])


def test_what_is_checked_before_pytorch_comes_agrees_with_what_runs():
    assert ESTIMATORS == bayesian.ESTIMATORS
    assert {*experiment.MODELS} == {"regression", *building.IMAGE_NETWORKS}
    assert {*experiment.PUBLISHED} == {*building.IMAGE_SETS} == {*experiment.NUM_IMAGES}
    assert {*experiment.PUBLISHED} == {*experiment.NUM_CLASSES}
    assert {*argument_types.PRIORS} == {*building.PRIORS}
    assert {*argument_types.FIGURE_FORMATS} <= {*Figure().canvas.get_supported_filetypes()}
    for split, num_images in experiment.NUM_IMAGES["mnist"].items():
        assert len(bt.load_mnist(split)) == num_images
    for text in ("normal:0,1", "mixture:0.5,1,0.0025", "laplace:-3,1e-30"):
        building.make_prior(argument_types.prior(text))


@pytest.mark.parametrize(
    "text",
    [
        "normal:nan,1",
        "normal:inf,1",
        "normal:0,0",
        "normal:0,1e-50",  # 0 in single precision
        "normal:0,1e39",  # too large for it
        "normal:1e39,1",
        "normal:0,1,2",
        "normal:",
        "normal",
        "laplace:0,-1",
        "mixture:0,1,1",
        "mixture:1,1,1",
        "mixture:0.5,0,1",
        "mixture:0.5,1,0",
        "mixture:0.5,1,inf",
        "",
    ],
)
def test_priors_out_of_their_ranges_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(repr(text))):
        argument_types.prior(text)


def test_priors_are_the_distributions_that_they_name():
    w = torch.linspace(-3, 3, 7)
    narrow, wide = Normal(0.0, 0.5), Normal(0.0, 2.0)
    mixture = (0.25 * wide.log_prob(w).exp() + 0.75 * narrow.log_prob(w).exp()).log()
    for text, log_density in {
        "normal:1,0.5": Normal(1.0, 0.5).log_prob(w),
        "laplace:-1,2": Laplace(-1.0, 2.0).log_prob(w),
        "mixture:0.25,2,0.5": mixture,
    }.items():
        torch.testing.assert_close(building.make_prior(text).log_prob(w), log_density)


def test_a_killed_run_that_is_resumed_ends_the_same(curve, tmp_path, capsys):
    folder = tmp_path / "killed"
    argv = ["train", *CURVE, "--prior", "normal:0,2", "--output", str(folder)]
    argv += ["--checkpoint-every", "1"]
    program = (
        "import os, sys\n"
        "from bnn_tutorial import command_line\n"
        "from bnn_tutorial.training import checkpoints\n"
        "save = checkpoints.TrainingCheckpoint.save\n"
        "def save_and_die(self, records):\n"
        "    save(self, records)\n"
        f"    if len(records) == 2: os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "checkpoints.TrainingCheckpoint.save = save_and_die\n"
        "command_line.main(sys.argv[1:])\n"
    )
    process = subprocess.run([sys.executable, "-c", program, *argv])
    assert process.returncode == -signal.SIGKILL
    assert not (folder / "model.safetensors").exists()

    assert main(["evaluate", str(folder)]) == 2
    assert "expected a training that has finished" in capsys.readouterr().err
    assert main(argv) == 2
    assert "checkpoint.pt of another run is there" in capsys.readouterr().err
    assert main([*argv, "--resume", "--kl-weight", "0.5"]) == 2
    assert "--resume with --kl-weight 0.5: the run in" in capsys.readouterr().err
    assert main([*argv, "--resume"]) == 0
    assert history_of(folder) == history_of(curve)
    assert record_of(folder)["results"] == record_of(curve)["results"]


DYING = """
import os, signal, sys
from bnn_tutorial import command_line
from bnn_tutorial.training import steps
epoch = steps.Optimization.epoch
def epoch_or_death(self, number, *rest):
    if number == 3 and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return epoch(self, number, *rest)
steps.Optimization.epoch = epoch_or_death
sys.exit(command_line.main(sys.argv[1:]))
"""


def test_two_processes_of_torchrun_train_one_model_and_resume_when_one_dies(tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    whole, died = tmp_path / "whole", tmp_path / "died"
    program = tmp_path / "dying.py"
    program.write_text(DYING)

    def run(folder, *start):
        arguments = ["train", *CURVE, "--output", str(folder), "--checkpoint-every", "1"]
        resume = ["--resume"] if (folder / "checkpoint.pt").exists() else []
        return subprocess.run(
            [*launch, *start, *arguments, *resume], capture_output=True, text=True
        )

    process = run(whole, "-m", "bnn_tutorial")
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("test data, 5 draws") == 1
    assert record_of(whole)["machine"]["processes"] == 2
    assert len(history_of(whole)) == 4
    assert main(["evaluate", str(whole), "--num-samples", "5"]) == 0
    results = json.loads((whole / "evaluation.json").read_text())["results"]
    assert results == record_of(whole)["results"]

    process = run(died, str(program))
    assert process.returncode != 0
    assert "train: error: another of the 2 processes ended" in process.stderr
    assert not (died / "model.safetensors").exists()
    process = run(died, "-m", "bnn_tutorial")
    assert process.returncode == 0, process.stderr
    assert history_of(died) == history_of(whole)
    assert record_of(died)["results"] == results


def test_tensorboard_writes_beside_the_record(tmp_path):
    pytest.importorskip("tensorboard")
    folder = tmp_path / "new"
    assert main(["train", *CURVE, "--output", str(folder), "--tensorboard"]) == 0
    assert list((folder / "tensorboard").glob("events.*"))


# Evaluation and uncertainty


def test_evaluation_gives_the_scores_of_the_training(curve, capsys):
    assert main(["evaluate", str(curve), "--num-samples", "5"]) == 0
    results = json.loads((curve / "evaluation.json").read_text())["results"]
    assert results == record_of(curve)["results"]
    out = capsys.readouterr().out
    assert f"nll   {results['nll']:.5g}" in out
    assert f"rmse  {results['rmse']:.5g}" in out
    assert main(["evaluate", str(curve), "--num-samples", "5", "--seed", "1"]) == 0
    assert json.loads((curve / "evaluation.json").read_text())["results"] != results


def test_evaluation_is_that_of_the_package(digits, tmp_path):
    output = tmp_path / "scores.json"
    arguments = ["--num-samples", "4", "--seed", "3", "--output", str(output)]
    assert main(["evaluate", str(digits), *arguments]) == 0
    model, *test_data = trained_digits(digits)
    data = TensorDataset(*test_data)
    expected = bt.evaluate(model, data, bt.CategoricalLikelihood(), num_samples=4, seed=3)
    content = json.loads(output.read_text())
    assert content["results"] == expected
    assert content["rows"] == 60
    assert content["machine"]["versions"]["torch"] == torch.__version__


def test_uncertainty_of_digits_against_foreign_images(digits, tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    foreign = torch.rand(80, 1, 28, 28, generator=generator)
    monkeypatch.setitem(
        building.IMAGE_SETS,
        "fashion-mnist",
        lambda train, full: TensorDataset(foreign, torch.zeros(80)),
    )
    figure = tmp_path / "entropy.png"
    options = ["--num-samples", "4", "--against", "fashion-mnist", "--figure", str(figure)]
    assert main(["uncertainty", str(digits), "--quiet", *options]) == 0
    results = json.loads((digits / "uncertainty.json").read_text())["results"]

    model, images, labels = trained_digits(digits)
    own, other = (
        bt.predict(model, x, 4, transform=torch.nn.Softmax(-1), seed=0)
        for x in (images, foreign[:60])
    )
    inside, outside = (bt.decompose_entropy(draws.samples) for draws in (own, other))
    wrong = own.mean.argmax(-1) != labels
    assert results == {
        "total": inside.total.mean().item(),
        "aleatoric": inside.aleatoric.mean().item(),
        "epistemic": inside.epistemic.mean().item(),
        "auroc_of_errors": bt.auroc(inside.total[~wrong], inside.total[wrong]),
        "total_against": outside.total.mean().item(),
        "aleatoric_against": outside.aleatoric.mean().item(),
        "epistemic_against": outside.epistemic.mean().item(),
        "auroc_against": bt.auroc(inside.total, outside.total),
        "auroc_against_epistemic": bt.auroc(inside.epistemic, outside.epistemic),
    }
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_uncertainty_of_the_curve_is_the_audit_of_its_band(curve, tmp_path):
    figure = tmp_path / "band.svg"
    options = ["-k", "2", "--figure", str(figure)]
    assert main(["uncertainty", str(curve), "--quiet", *options]) == 0
    results = json.loads((curve / "uncertainty.json").read_text())["results"]

    model = bt.to_bayesian(bt.regression_network(8), prior=Normal(0.0, 2.0))
    likelihood = bt.GaussianLikelihood()
    modules = torch.nn.ModuleDict({"model": model, "likelihood": likelihood})
    bt.load_model(modules, curve / "model.safetensors")
    generator = torch.Generator().manual_seed(building.TEST_SEED)
    x, y = bt.polynomial_data(50, spacing="random", generator=generator)
    moments = bt.exact_moments(model, x)
    noise_std = likelihood.noise_std.detach()
    audit = bt.audit_band(y, *moments.interval(2, noise_std=noise_std), k=2)
    assert results == {
        "noise_std": noise_std.item(),
        "epistemic_std": moments.std.mean().item(),
        "outside_band": audit.share,
        "outside_band_nominal": audit.nominal,
    }
    assert "2 standard deviations" in figure.read_text()


# What a user can get wrong


def run(argv):
    """The exit code of the command, however it ends."""
    try:
        return main(argv)
    except SystemExit as stop:
        return stop.code


WRONG_TRAINING = [
    ("--model resnet50", "invalid choice: 'resnet50'"),
    ("--data polynomials", "invalid choice: 'polynomials'"),
    ("--epochs 0", "'0': expected a whole number, 1 or more"),
    ("--epochs 2.5", "'2.5': expected a whole number, 1 or more"),
    ("--seed -1", "'-1': expected a whole number, 0 or more"),
    (f"--seed {2**63}", "expected a whole number, 0 to 9223372036854775807"),
    (f"--epochs {10**400}", "expected a whole number, 1 to 9223372036854775807"),
    ("--learning-rate 0", "'0': expected a finite number, above 0"),
    ("--learning-rate fast", "'fast': expected a finite number, above 0"),
    ("--kl-weight -1", "'-1': expected a finite number, 0 or more"),
    ("--kl-weight nan", "'nan': expected a finite number, 0 or more"),
    ("--kl-schedule linear", "'linear': expected constant or warm-up:EPOCHS or blundell"),
    ("--kl-schedule warm-up:0", "'warm-up:0': expected constant or warm-up:EPOCHS"),
    ("--prior cauchy:0,1", "'cauchy:0,1': expected normal:MEAN,STD or laplace:MEAN,SCALE or"),
    ("--init-std 1e-60", "'1e-60': expected a number of single precision"),
    ("--init-std 1e39", "'1e39': expected a number of single precision"),
    ("--prior normal:0", "'normal:0': expected normal:MEAN,STD"),
    ("--prior normal:0,-1", "'normal:0,-1': expected normal:MEAN,STD"),
    ("--prior mixture:2,1,1", "'mixture:2,1,1': expected normal:MEAN,STD"),
    ("--device toaster", "'toaster': expected a device, cpu, cuda, cuda:NUMBER or mps"),
    ("--device cuda:-1", "'cuda:-1': expected a device"),
    ("--model mnist", "--model mnist --data polynomial: expected --data mnist or fashion-"),
    ("--model mnist --data folder", "--data folder: expected --images PATH"),
    ("--images tests", "--images --data polynomial: expected --data folder"),
    ("--images nowhere", "'nowhere': expected a folder of images"),
    ("--images README.md", "'README.md': expected a folder of images"),
    ("--images tests/helpers/empty", "'tests/helpers/empty': expected a folder of images"),
    ("--augment shift", "--augment --model regression: expected a network of images"),
    ("--augment turn", "invalid choice: 'turn'"),
    ("--data mnist", "--model regression --data mnist: expected --data polynomial"),
    ("--model mnist --data mnist --exact", "--exact --model mnist: expected"),
    ("--exact --mixed-precision float16", "--exact --mixed-precision float16: expected one of"),
    ("--full", "--full --data polynomial: expected --data mnist"),
    ("--bayesian head", "--bayesian head --model regression: expected all or none"),
    ("--model alexnet", "--model alexnet --data polynomial: expected --data mnist"),
    ("--model alexnet --data cifar100 --num-train 50001", "50001: expected at most 50000"),
    ("--model mnist --data mnist --num-train 10001", "10001: expected at most 10000"),
    ("--model mnist --data mnist --num-test 2001", "2001: expected at most 2000"),
    ("--model mnist --data mnist --full --num-test 10001", "10001: expected at most 10000"),
]
WRONG_UNCERTAINTY = [
    ("--against mnist", "--against mnist: expected a network of classes"),
    ("--figure band.xyz", "'band.xyz': expected an ending of"),
    ("--figure nowhere/band.png", "'nowhere/band.png': the folder 'nowhere' is missing"),
    ("--num-samples 1", "'1': expected a whole number, 2 or more"),
    ("-k 0", "'0': expected a finite number, above 0"),
    ("--output nowhere/some.json", "'nowhere/some.json': the folder 'nowhere' is missing"),
    ("--output .", "'.' is a folder, expected a file"),
]


@pytest.mark.parametrize(("options", "words"), WRONG_TRAINING)
def test_wrong_options_end_with_2_and_one_line(options, words, tmp_path, capsys):
    folder = tmp_path / "new"
    assert run(["train", *CURVE, "--output", str(folder), *options.split()]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in message
    assert message.startswith("python -m bnn_tutorial train: error: ")
    assert not folder.exists()


def test_a_gpu_that_is_not_there_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(argument_types, "_has_gpu_driver", lambda: False)
    assert run(["train", *CURVE, "--output", str(tmp_path / "new"), "--device", "cuda"]) == 2
    assert "'cuda' can't be used here" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path, capsys):
    (tmp_path / "file").touch()
    for path in ("file", "file/folder"):
        assert run(["train", *CURVE, "--output", str(tmp_path / path)]) == 2
        assert f"{str(tmp_path / 'file')!r} is a file, no folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["n" * 300, "no\0name"])
def test_a_path_that_cannot_be_is_named(name, curve, capsys):
    assert run(["train", *CURVE, "--output", name]) == 2
    assert "can't be used: " in capsys.readouterr().err
    for option in ("--output", "--figure"):
        assert run(["uncertainty", str(curve), option, f"{name}/a.png"]) == 2
        assert "can't be used: " in capsys.readouterr().err


def test_a_device_beside_torchrun_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run(["train", *CURVE, "--output", str(tmp_path / "new"), "--device", "cpu"]) == 2
    assert "--device cpu with torchrun: expected none" in capsys.readouterr().err


def test_a_device_that_pytorch_refuses_is_named():
    with pytest.raises(ValueError, match="--device meta2: can't be used here"):
        building.open_device("meta2")


def test_a_loss_that_is_not_finite_ends_with_1(tmp_path, capsys):
    options = ["--output", str(tmp_path / "new"), "--learning-rate", "1e30"]
    assert main(["train", *CURVE, *options]) == 1
    assert "error: the loss is not finite at step" in capsys.readouterr().err
    assert not (tmp_path / "new" / "model.safetensors").exists()


def test_a_score_that_is_not_finite_ends_with_1(curve, capsys):
    path = curve / "model.safetensors"
    state = safetensors.torch.load_file(path)
    state["model.2.bias_mean"].fill_(torch.nan)
    safetensors.torch.save_file(state, path)
    assert main(["evaluate", str(curve)]) == 1
    assert "error: nll=nan: the model's output is not finite" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        f"--hidden-features {10**13}",
        f"--hidden-features {10**18}",
        f"--num-train {10**15}",
        f"--num-test {10**18}",
        f"--num-samples {10**16}",
    ],
)
def test_what_no_memory_holds_ends_with_1_and_says_what_takes_it(options, tmp_path, capsys):
    assert main(["train", *CURVE, "--output", str(tmp_path / "new"), *options.split()]) == 1
    message = capsys.readouterr().err
    assert "train: error: there is not enough memory: expected less of" in message
    assert options.split()[0] in message


@pytest.mark.parametrize(
    ("name", "words"), [("write_json", "--output "), ("save_model", "model.safetensors")]
)
def test_a_full_disk_ends_with_2_and_names_the_place(name, words, tmp_path, monkeypatch, capsys):
    def fail(content, path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(train, name, fail)
    assert main(["train", *CURVE, "--output", str(tmp_path / "new")]) == 2
    message = capsys.readouterr().err
    assert "No space left on device" in message
    assert words in message
    assert str(tmp_path / "new") in message


def test_an_error_of_the_program_itself_is_not_hidden(tmp_path, monkeypatch):
    def break_down(*arguments, **options):
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(train, "fit", break_down)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        main(["train", *CURVE, "--output", str(tmp_path / "new")])


def test_a_name_that_is_no_text_is_printed_all_the_same(tmp_path, capsysbinary):
    folder = f"{tmp_path}/caf\udce9"
    assert main(["train", *CURVE, "--output", folder]) == 0
    assert b"caf\\udce9: test data, 5 draws" in capsysbinary.readouterr().out


def test_test_images_that_are_missing_are_found_out_before_the_training(
    tmp_path, monkeypatch, capsys
):
    save_images(tmp_path / "images" / "train", ("cat", "dog"))
    save_images(tmp_path / "images" / "test", ("cat",))
    monkeypatch.setattr(train, "fit", lambda *arguments, **options: pytest.fail("trained"))
    options = [*PHOTOGRAPHS.split(), "--images", str(tmp_path / "images")]
    assert main(["train", *options, "--output", str(tmp_path / "new")]) == 2
    assert "dog: expected at least one image that can be read" in capsys.readouterr().err


def test_one_class_or_one_image_is_refused(tmp_path, capsys):
    save_images(tmp_path / "lone", ("cat",))
    (tmp_path / "empty" / "cat").mkdir(parents=True)
    (tmp_path / "empty" / "dog").mkdir()
    for name, words in {
        "lone": f"--images {tmp_path / 'lone'}: expected two classes or more",
        "empty": "cat: expected at least one image that can be read",
    }.items():
        options = [*PHOTOGRAPHS.split(), "--images", str(tmp_path / name)]
        assert main(["train", *options, "--output", str(tmp_path / "new")]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("names", [("train", "val"), ("Train", "Test"), ("test", "cat")])
def test_half_a_split_is_not_taken_for_classes(names, tmp_path, capsys):
    for name in names:
        save_images(tmp_path / "images" / name, ("cat", "dog"))
    options = [*PHOTOGRAPHS.split(), "--images", str(tmp_path / "images")]
    assert main(["train", *options, "--output", str(tmp_path / "new")]) == 2
    assert "expected both train and test, or one subfolder a class" in capsys.readouterr().err


def test_quiet_shows_no_bar_while_images_are_read(tmp_path, capsys):
    options = [*PHOTOGRAPHS.split(), "--images", str(save_images(tmp_path / "i", ("a", "b")))]
    assert main(["train", *options, "--output", str(tmp_path / "new")]) == 0
    assert main(["evaluate", str(tmp_path / "new"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_an_interruption_ends_with_130(tmp_path, monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit", interrupt)
    assert main(["train", *CURVE, "--output", str(tmp_path / "new")]) == 130
    assert capsys.readouterr().err.strip() == "python -m bnn_tutorial train: error: interrupted"


def test_a_finished_run_is_not_overwritten(curve, capsys):
    before = (curve / "model.safetensors").read_bytes()
    assert main(["train", *CURVE, "--output", str(curve)]) == 2
    assert "model.safetensors of another run is there" in capsys.readouterr().err
    assert (curve / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("options", ["--epochs 1", "--epochs 9"])
def test_a_resumption_that_fails_keeps_the_record(options, tmp_path, capsys):
    argv = ["train", *CURVE, "--output", str(tmp_path / "run"), "--checkpoint-every", "1"]
    assert main(argv) == 0
    if options == "--epochs 9":
        (tmp_path / "run" / "checkpoint.pt").write_bytes(b"damaged")
    before = record_of(tmp_path / "run")
    assert main([*argv, "--resume", *options.split()]) == 2
    assert record_of(tmp_path / "run") == before


def test_a_run_without_a_checkpoint_is_not_trained_over(curve, capsys):
    before = (curve / "model.safetensors").read_bytes()
    argv = ["train", *CURVE, "--output", str(curve), "--prior", "normal:0,2"]
    assert main(argv) == 2
    assert "--resume" not in capsys.readouterr().err
    assert main([*argv, "--resume"]) == 2
    assert f"the run in {str(curve)!r} has ended and left no checkpoint" in capsys.readouterr().err
    assert (curve / "model.safetensors").read_bytes() == before


def test_classes_of_other_names_are_not_learnt_on(tmp_path, capsys):
    images = save_images(tmp_path / "images", ("cats", "dogs"))
    argv = ["train", *PHOTOGRAPHS.split(), "--images", str(images), "--bayesian", "none"]
    argv += ["--checkpoint-every", "1", "--output", str(tmp_path / "run")]
    assert main(argv) == 0
    assert "test data, one pass" in capsys.readouterr().out
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert "test data, one pass" in capsys.readouterr().out
    (images / "dogs").rename(images / "wolves")
    for again in ([*argv, "--resume", "--epochs", "3"], ["evaluate", str(tmp_path / "run")]):
        assert main(again) == 2
        found = capsys.readouterr().err
        assert "--images has the classes ['cats', 'wolves']: expected those learnt" in found


def test_the_settings_that_differ_are_named_as_they_are_typed(curve, capsys):
    argv = ["train", *CURVE, "--output", str(curve), "--prior", "normal:0,2", "--resume"]
    for options, words in {
        "--exact": f"--resume with --exact: the run in {str(curve)!r} has no --exact;",
        "--clip-norm 3": "--resume with --clip-norm 3.0: the run in",
        "--num-train 30": f"the run in {str(curve)!r} has --num-train 40; expected the same",
    }.items():
        assert main([*argv, *options.split()]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("file", ["record.json", "model.safetensors"])
@pytest.mark.parametrize("command", ["evaluate", "uncertainty"])
def test_results_take_the_place_of_no_file_of_the_training(command, file, curve, capsys):
    before = (curve / file).read_bytes()
    path = curve / ".." / curve.name / file
    assert main([command, str(curve), "--quiet", "--output", str(path)]) == 2
    assert f"--output {path}: expected none of the files that train wrote" in (
        capsys.readouterr().err
    )
    assert (curve / file).read_bytes() == before


def test_results_take_the_place_of_no_device(curve, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    assert run(["evaluate", str(curve), "--quiet", "--output", str(tmp_path / "pipe")]) == 2
    assert "pipe' is no file that can be replaced" in capsys.readouterr().err
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("command", ["train --output", "evaluate", "evaluate folder --output"])
def test_an_empty_path_is_refused(command, capsys):
    words = command.split()
    options = CURVE if words[0] == "train" else []
    assert run([words[0], *options, *words[1:], ""]) == 2
    assert "'': expected a path" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "uncertainty"])
@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("record.json", None, "is missing: expected a folder that train wrote"),
        ("record.json", b"{", "is damaged"),
        ("record.json", b"[]", "is damaged"),
        ("record.json", b"{}", "is damaged"),
        ("record.json", {"prior": "cauchy:0,1"}, "'cauchy:0,1': expected normal:MEAN,STD"),
        ("record.json", {"model": "resnet50"}, "is damaged: argument --model: invalid choice"),
        ("record.json", {"model": "lenet5"}, "--model lenet5 --data polynomial: expected"),
        ("record.json", {"estimator": 3}, "is damaged: argument --estimator"),
        ("record.json", {"hidden_features": -1}, "is damaged: argument --hidden-features"),
        ("record.json", {"hidden_features": [8]}, "is damaged: argument --hidden-features"),
        ("record.json", {"seed": 0.5}, "is damaged: argument --seed"),
        ("record.json", {"full": "yes"}, "is damaged: "),
        ("record.json", {"images": 5}, "is damaged: images: 5"),
        ("record.json", {"images": "here"}, "is damaged: --images"),
        ("model.safetensors", None, "expected a training that has finished"),
        ("model.safetensors", b"\x08", "the file is damaged"),
        ("model.safetensors", safetensors.torch.save({}), "Missing key(s)"),
    ],
)
def test_missing_and_damaged_files_are_named(command, file, content, words, curve, capsys):
    if content is None:
        (curve / file).unlink()
    elif isinstance(content, dict):
        record = record_of(curve)
        record["experiment"] |= content
        (curve / file).write_text(json.dumps(record))
    else:
        (curve / file).write_bytes(content)
    assert main([command, str(curve), "--quiet"]) == 2
    message = capsys.readouterr().err
    assert words in message
    assert str(curve / file) in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(("options", "words"), WRONG_UNCERTAINTY)
def test_wrong_options_of_uncertainty_are_named(options, words, curve, capsys):
    assert run(["uncertainty", str(curve), "--quiet", *options.split()]) == 2
    assert words in capsys.readouterr().err


def test_foreign_images_of_another_shape_are_named(digits, capsys):
    assert main(["uncertainty", str(digits), "--quiet", "--against", "cifar10"]) == 2
    message = capsys.readouterr().err
    assert "--against cifar10: its images have shape (3, 32, 32), expected (1, 28, 28)" in message


def test_data_that_cannot_be_downloaded_say_how_to_go_on(tmp_path, monkeypatch, capsys):
    def refuse(root):
        raise OSError("no network")

    monkeypatch.setenv("BNN_TUTORIAL_DATA", str(tmp_path))
    monkeypatch.setattr("torchvision.datasets.CIFAR10", lambda root, download: refuse(root))
    options = ["--model", "resnet20", "--data", "cifar10"]
    assert main(["train", *options, "--output", str(tmp_path / "new")]) == 2
    message = capsys.readouterr().err
    assert "the full CIFAR-10 could not be downloaded" in message
    assert "BNN_TUTORIAL_DATA" in message


# Help


def test_python_m_shows_the_commands():
    process = subprocess.run(
        [sys.executable, "-m", "bnn_tutorial", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert process.returncode == 0, process.stderr
    for command in ("train", "evaluate", "uncertainty"):
        assert f"python -m bnn_tutorial {command} " in process.stdout


def test_every_command_that_the_documents_show_can_be_read(tmp_path, monkeypatch):
    (tmp_path / "photographs" / "cat").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    texts = [make_parser().format_help()]
    texts += [command.epilog.format(program=PROGRAM) for command in COMMANDS.values()]
    repository = Path(__file__).parents[2]
    texts += [(repository / page).read_text() for page in ("README.md", "book/running.md")]
    text = "\n".join(texts).replace("\\\n", "")
    shown = re.findall(r"^[ $].*-m bnn_tutorial (.*)$", text, flags=re.MULTILINE)
    assert len(shown) == 17
    for command in shown:
        make_parser().parse_args(shlex.split(command))


@pytest.mark.parametrize("command", ["train", "evaluate", "uncertainty"])
def test_each_command_explains_itself_with_an_example(command, capsys):
    assert run([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"example{'' if command == 'evaluate' else 's'}:" in out
    assert f"python -m bnn_tutorial {command} " in out.split("example")[1]
    assert "{program}" not in out


# Before PyTorch


ANSWER_ALL = """
import contextlib, io, json, sys
from bnn_tutorial.command_line import main
codes = []
for argv in json.load(sys.stdin):
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        try:
            codes.append(main(argv))
        except SystemExit as stop:
            codes.append(stop.code)
print(json.dumps([codes, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_help_and_wrong_arguments_are_answered_before_pytorch_is_imported(curve, tmp_path):
    train = ["train", *CURVE, "--output"]
    helped = [["--help"], *([command, "--help"] for command in COMMANDS)]
    wrong = [
        *([*train, str(tmp_path / "new"), *options.split()] for options, _ in WRONG_TRAINING),
        *(["uncertainty", str(curve), *options.split()] for options, _ in WRONG_UNCERTAINTY),
        [],
        ["training"],
        ["train"],
        [*train, str(curve)],
        [*train, str(curve), "--resume"],  # with another prior
        *([command, str(tmp_path / "nothing")] for command in ("evaluate", "uncertainty")),
    ]
    process = subprocess.run(
        [sys.executable, "-c", ANSWER_ALL],
        input=json.dumps(helped + wrong),
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    codes, loaded = json.loads(process.stdout)
    assert codes == [0] * len(helped) + [2] * len(wrong)
    assert not {"torch", "numpy", "matplotlib", "IPython"} & {*loaded}
