"""Predict each case of scikit-learn's breast cancer data without having seen it, for "Decide".

    python scripts/predict_breast_cancer.py

Ten folds, each predicted by networks that learned the other nine: one hidden layer of 20 units on
the 30 features, standardized with the mean and deviation of the nine. The Bayesian network has the
prior Normal(0, 1) for every weight, was trained with a KL weight of 1, and answers with the average
of 1,000 draws; the deterministic one was trained alike, by maximum likelihood. The file holds their
log odds of malignant and what each case is, in half precision. It takes some minutes; with one
thread (``OMP_NUM_THREADS=1``), twice on one machine, it wrote the same bytes.
"""

import argparse
from pathlib import Path

import safetensors.torch
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import bnn_tutorial as bt
from bnn_tutorial.atomic_write import atomic_write
from bnn_tutorial.figures.decide import PREDICTIONS_FILE, PREDICTORS, read_predictions

FOLDS = 10
HIDDEN = 20
EPOCHS = 1000  # of all training data at once
LEARNING_RATE = 1e-2
NUM_DRAWS = 1000


def log_odds(train: TensorDataset, x: Tensor, bayesian: bool, seed: int) -> Tensor:
    """Return log p(1) - log p(0) at inputs (N, 30), shape (N,), of a network that is trained."""
    with bt.seeded(seed):
        network = nn.Sequential(nn.Linear(30, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2))
        if bayesian:
            network = bt.to_bayesian(network)
    history = bt.fit(
        network,
        train,
        bt.CategoricalLikelihood(),
        epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        seed=seed,
        progress=False,
    )
    print(f"  fold {seed + 1}, Bayesian {bayesian}: NLL {history['nll'][-1]:.4f}", flush=True)
    draws = NUM_DRAWS if bayesian else 1
    logits = bt.predict(network, x, num_samples=draws, seed=seed).samples.double()
    log_probabilities = logits.log_softmax(dim=-1).logsumexp(dim=0)  # but for a constant
    return log_probabilities[:, 1] - log_probabilities[:, 0]


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the predictions of the figure Decide.")
    parser.add_argument("--output", type=Path, default=PREDICTIONS_FILE, help="the file to write")
    path = parser.parse_args().output
    features, benign = load_breast_cancer(return_X_y=True)
    x = torch.as_tensor(features, dtype=torch.float32)
    malignant = 1 - torch.as_tensor(benign)
    tensors = {name: torch.zeros(len(x), dtype=torch.float16) for name in PREDICTORS}
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(x, malignant)
    for fold, (seen, held_out) in enumerate(folds):
        standardized = (x - x[seen].mean(dim=0)) / x[seen].std(dim=0)
        train = TensorDataset(standardized[seen], malignant[seen])
        for name in PREDICTORS:
            odds = log_odds(train, standardized[held_out], name == "bayesian", fold)
            tensors[name][held_out] = odds.half()
    with atomic_write(path) as draft:
        safetensors.torch.save_file({**tensors, "malignant": malignant.half()}, draft)
    print(f"{path}: {path.stat().st_size:,} bytes")
    for name in PREDICTORS:
        probabilities, labels = read_predictions(name)
        wrong = (probabilities.argmax(dim=1) != labels).sum()
        nll = -probabilities.log().gather(1, labels.unsqueeze(1)).mean()
        print(f"{name}: {wrong} of {len(labels)} wrong, NLL {nll:.4f}")


if __name__ == "__main__":
    main()
