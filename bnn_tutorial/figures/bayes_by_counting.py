"""Bayes' theorem counted in people, the interactive figure of the chapter "Bayes' theorem"."""

import traitlets

from bnn_tutorial.figures.figure import Figure, Float


class BayesByCounting(Figure):
    """A test for a disease, followed through 1,000 people: the posterior as a count and a formula.

    Tests err independently of each other given the person's health, so that each posterior is the
    next test's prior. Counts instead of percentages after Gigerenzer and Hoffrage (1995).

    Example:
        >>> import bnn_tutorial as bt
        >>> figure = bt.figures.BayesByCounting(prevalence=0.1)
        >>> round(figure.posterior, 3)  # of 180 who test positive 90 are ill
        0.5
    """

    prevalence = Float(
        0.01, min=0.001, max=0.5, help="p(ill), the share of the ill among all people."
    ).tag(sync=True)
    sensitivity = Float(
        0.9, min=0.5, max=1.0, help="p(positive | ill), the share of the ill whom a test finds."
    ).tag(sync=True)
    specificity = Float(
        0.9, min=0.5, max=1.0, help="p(negative | healthy), the share of the healthy it clears."
    ).tag(sync=True)
    positive_tests = traitlets.Int(
        1, min=1, max=3, help="How many tests were taken, all of them positive."
    ).tag(sync=True)

    @property
    def posterior(self) -> float:
        """The probability of being ill after the positive tests, p(ill | all n positive).

        p sens^n / (p sens^n + (1 - p) (1 - spec)^n), with p the prevalence.
        """
        ill = self.prevalence * self.sensitivity**self.positive_tests
        healthy = (1 - self.prevalence) * (1 - self.specificity) ** self.positive_tests
        return ill / (ill + healthy)
