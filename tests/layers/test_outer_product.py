import pytest
import torch
import torch.nn.functional as F
from torch import nn

import bnn_tutorial as bt
from bnn_tutorial.layers import linear
from bnn_tutorial.layers.outer_product import outer_product, pays


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(5, 1), (2, 3, 1), (0, 1)])
def test_it_is_the_linear_map(shape, dtype):
    x, weight, bias = (torch.randn(size, dtype=dtype) for size in (shape, (4, 1), (4,)))
    torch.testing.assert_close(outer_product(x, weight, bias), F.linear(x, weight, bias))


def test_it_pays_for_single_numbers_where_no_gradient_is_summed():
    x, bias = torch.ones(5, 1), torch.ones(4)
    assert not pays(x, bias)
    with torch.no_grad():
        assert pays(x, bias)
        assert not pays(x, None)
        assert not pays(x.expand(5, 2), bias)
        assert not pays(x[0], bias)
        with torch.autocast("cpu"):
            assert not pays(x, bias)


def test_a_prediction_takes_it_and_gets_the_same_numbers(monkeypatch):
    model = nn.Sequential(
        bt.BayesianLinear(1, 6, estimator="weight"),
        nn.ReLU(),
        bt.BayesianLinear(6, 1, estimator="weight"),
    )
    x = torch.linspace(-1, 1, 7)[:, None]
    calls = []

    def counted(*arguments):
        calls.append(1)
        return outer_product(*arguments)

    monkeypatch.setattr(linear, "outer_product", counted)
    fast = bt.predict(model, x, 4, seed=0).samples
    assert len(calls) == 4
    monkeypatch.setattr(linear, "pays", lambda *_: False)
    torch.testing.assert_close(fast, bt.predict(model, x, 4, seed=0).samples)
