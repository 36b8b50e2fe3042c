"""The network: two streams over one backbone, two probes, and predictions from them."""

from ppap.segmenter.heads import ChannelDropout, CodeHead, Head, Part, TunedBlock
from ppap.segmenter.model import (
    ParameterGroups,
    ProbeLosses,
    Segmenter,
    Trained,
    TrainingFeatures,
    rebuild,
)
from ppap.segmenter.prediction import Prediction, predict
from ppap.segmenter.probes import ClusterProbe, LinearProbe
from ppap.segmenter.starts import merged_start, spread_start

__all__ = [
    "ChannelDropout",
    "ClusterProbe",
    "CodeHead",
    "Head",
    "LinearProbe",
    "ParameterGroups",
    "Part",
    "Prediction",
    "ProbeLosses",
    "Segmenter",
    "Trained",
    "TrainingFeatures",
    "TunedBlock",
    "merged_start",
    "predict",
    "rebuild",
    "spread_start",
]
