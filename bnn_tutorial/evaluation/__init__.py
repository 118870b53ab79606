"""How good a prediction is, and whether its uncertainty holds: functions of predictions alone."""

from bnn_tutorial.evaluation.bands import (
    BandAudit,
    audit_band,
    coverage_by_level,
    probability_integral_transform,
    recalibrated_levels,
)
from bnn_tutorial.evaluation.calibration import (
    ReliabilityBins,
    expected_calibration_error,
    reliability_bins,
)
from bnn_tutorial.evaluation.conformal import (
    conformal_intervals,
    conformal_quantile,
    conformal_sets,
)
from bnn_tutorial.evaluation.decisions import Decision, decide, decide_from_draws
from bnn_tutorial.evaluation.detection import (
    Detection,
    Interval,
    auroc,
    average_precision,
    false_positive_rate,
    measure_detection,
)
from bnn_tutorial.evaluation.doubt import (
    DoubtScores,
    doubt_scores,
    feature_distance,
)
from bnn_tutorial.evaluation.entropy import EntropyDecomposition, decompose_entropy
from bnn_tutorial.evaluation.paired import auroc_difference, paired_interval
from bnn_tutorial.evaluation.recalibration import (
    HistogramBinning,
    IsotonicCalibration,
    TemperatureScaling,
)
from bnn_tutorial.evaluation.reliability_resamples import bootstrap_bins, calibrated_bins
from bnn_tutorial.evaluation.scores import (
    BrierDecomposition,
    brier_score,
    decompose_brier,
    log_score,
)
from bnn_tutorial.evaluation.selective import (
    RiskCoverage,
    SelectiveRisk,
    risk_coverage,
    selective_risk,
    selective_threshold,
)
from bnn_tutorial.evaluation.variance import (
    VarianceDecomposition,
    decompose_covariance,
    decompose_variance,
    normalized_softplus,
)

__all__ = [
    "BandAudit",
    "BrierDecomposition",
    "Decision",
    "Detection",
    "DoubtScores",
    "EntropyDecomposition",
    "HistogramBinning",
    "Interval",
    "IsotonicCalibration",
    "ReliabilityBins",
    "RiskCoverage",
    "SelectiveRisk",
    "TemperatureScaling",
    "VarianceDecomposition",
    "audit_band",
    "auroc",
    "auroc_difference",
    "average_precision",
    "bootstrap_bins",
    "brier_score",
    "calibrated_bins",
    "conformal_intervals",
    "conformal_quantile",
    "conformal_sets",
    "coverage_by_level",
    "decide",
    "decide_from_draws",
    "decompose_brier",
    "decompose_covariance",
    "decompose_entropy",
    "decompose_variance",
    "doubt_scores",
    "expected_calibration_error",
    "false_positive_rate",
    "feature_distance",
    "log_score",
    "measure_detection",
    "normalized_softplus",
    "paired_interval",
    "probability_integral_transform",
    "recalibrated_levels",
    "reliability_bins",
    "risk_coverage",
    "selective_risk",
    "selective_threshold",
]
