"""Comparing draws with their exact moments, within a tolerance from the Monte Carlo error."""

import torch

STANDARD_ERRORS = 5.0


def assert_mean(draws, expected):
    """Assert that draws of shape (S, ...) have the mean ``expected`` within 5 standard errors."""
    draws = draws.double()
    standard_error = draws.std(dim=0) / len(draws) ** 0.5
    difference = (draws.mean(dim=0) - torch.as_tensor(expected).double()).abs()
    assert (difference <= STANDARD_ERRORS * standard_error).all(), (difference, standard_error)


def assert_variance(draws, expected):
    """Assert that draws of shape (S, ...) have the variance ``expected`` within 5 standard errors.

    The squared deviations are themselves draws, whose mean is the variance.
    """
    draws = draws.double()
    assert_mean((draws - draws.mean(dim=0)).square(), expected)


def assert_covariance(draws, expected):
    """Assert that draws of shape (S, K) have the covariance ``expected``, shape (K, K).

    Within 6 standard errors, one more than elsewhere: K squared pairs are compared at once.
    """
    deviations = draws.double() - draws.double().mean(dim=0)
    covariance = deviations.T @ deviations / len(draws)
    square = deviations.square()
    variance_of_products = (square.T @ square / len(draws) - covariance.square()).clamp_min(0)
    standard_error = (variance_of_products / len(draws)).sqrt()
    difference = (covariance - expected.double()).abs()
    assert (difference <= (STANDARD_ERRORS + 1) * standard_error).all(), difference.max()
