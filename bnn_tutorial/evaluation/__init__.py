"""How good a prediction is, and whether its uncertainty holds: functions of predictions alone."""

from bnn_tutorial.evaluation.bands import BandAudit, audit_band
from bnn_tutorial.evaluation.calibration import (
    ReliabilityBins,
    expected_calibration_error,
    reliability_bins,
)
from bnn_tutorial.evaluation.detection import auroc
from bnn_tutorial.evaluation.entropy import EntropyDecomposition, decompose_entropy
from bnn_tutorial.evaluation.variance import (
    VarianceDecomposition,
    decompose_covariance,
    decompose_variance,
    normalized_softplus,
)

__all__ = [
    "BandAudit",
    "EntropyDecomposition",
    "ReliabilityBins",
    "VarianceDecomposition",
    "audit_band",
    "auroc",
    "decompose_covariance",
    "decompose_entropy",
    "decompose_variance",
    "expected_calibration_error",
    "normalized_softplus",
    "reliability_bins",
]
