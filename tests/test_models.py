import torch

import bnn_tutorial as bt


def test_mnist_network_is_the_one_of_the_chapter():
    model = bt.mnist_network()
    assert model(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    # 32 * (9 + 1) + 64 * (32 * 9 + 1) + 128 * (3136 + 1) + 10 * (128 + 1)
    assert sum(parameter.numel() for parameter in model.parameters()) == 421_642


def test_regression_network_has_the_printed_width():
    model = bt.regression_network()
    assert model(torch.zeros(5, 1)).shape == (5, 1)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3 * 1000 + 1
    assert bt.regression_network(50)[0].out_features == 50
