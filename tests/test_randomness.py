import pytest
import torch

import bnn_tutorial as bt


def test_a_seed_repeats_and_the_outside_does_not_notice():
    torch.manual_seed(0)
    expected = torch.randn(3)
    torch.manual_seed(0)
    with bt.seeded(1):
        first = torch.randn(3)
    assert torch.equal(torch.randn(3), expected)
    with bt.seeded(1):
        assert torch.equal(torch.randn(3), first)


def test_the_generator_comes_back_after_an_error():
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), bt.seeded(1):
        torch.randn(3) @ torch.randn(4)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_numbers_are_those_of_manual_seed():
    torch.manual_seed(5)
    expected = torch.randn(3)
    with bt.seeded(5):
        assert torch.equal(torch.randn(3), expected)


def test_the_generators_of_other_devices_are_left_alone(monkeypatch):
    seeds = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    with bt.seeded(1):
        pass
    assert seeds == []


def test_without_a_seed_the_global_generator_is_used():
    torch.manual_seed(3)
    expected = torch.randn(2)
    torch.manual_seed(3)
    with bt.seeded(None):
        assert torch.equal(torch.randn(2), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_generator_is_seeded_and_restored():
    before = torch.cuda.get_rng_state()
    with bt.seeded(1, "cuda"):
        first = torch.randn(3, device="cuda")
    assert torch.equal(torch.cuda.get_rng_state(), before)
    with bt.seeded(1, "cuda"):
        assert torch.equal(torch.randn(3, device="cuda"), first)
