import pytest
import torch
from helpers.monte_carlo import assert_mean

import bnn_tutorial as bt


@pytest.mark.parametrize(("k", "nominal"), [(1.0, 0.3173105), (2.0, 0.0455003), (3.0, 0.0026998)])
def test_a_true_gaussian_band_leaves_the_nominal_share_outside(k, nominal):
    y = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    edge = torch.full_like(y, k)
    audit = bt.audit_band(y, -edge, edge, k=k)
    assert audit.nominal == pytest.approx(nominal, abs=1e-6)
    outside = (y.abs() > k).double()
    assert audit.share == pytest.approx(outside.mean().item())
    assert_mean(outside, audit.nominal)


def test_audit_counts_both_sides_and_not_the_edge():
    y = torch.tensor([-2.0, -1.0, 0.0, 1.0, 3.0])
    audit = bt.audit_band(y, torch.full((5,), -1.0), torch.full((5,), 1.0))
    assert (audit.outside, audit.total, audit.share) == (2, 5, 0.4)
    assert str(audit) == ("2 of 5 held-out points outside the 3-sigma band: 40.00%, nominal 0.27%")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((torch.zeros(3, 1), torch.zeros(3), torch.zeros(3)), r"\(3, 1\), \(3,\)"),
        ((torch.zeros(0), torch.zeros(0), torch.zeros(0)), "empty"),
        ((torch.zeros(1), torch.ones(1), -torch.ones(1)), "low <= high"),
        ((torch.zeros(1), torch.tensor([torch.nan]), torch.ones(1)), "without NaN"),
    ],
)
def test_wrong_bands_are_errors(arguments, words):
    with pytest.raises(ValueError, match=words):
        bt.audit_band(*arguments)
