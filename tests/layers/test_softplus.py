import pytest
import torch
import torch.nn.functional as F

import bnn_tutorial as bt


@pytest.mark.parametrize("std", [1e-6, 0.05, 1.0, 30.0])
def test_inverse_softplus_inverts(std):
    rho = torch.tensor(bt.inverse_softplus(std), dtype=torch.float64)
    assert F.softplus(rho).item() == pytest.approx(std, rel=1e-9)
