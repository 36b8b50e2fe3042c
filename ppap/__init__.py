"""Progressive proxy anchor propagation for unsupervised semantic segmentation, as a library."""

from ppap.backbones import load_backbone
from ppap.batches import Batch, make_batch
from ppap.contrast import SetLoss, chunked_loss, contrastive_loss, ppap_loss
from ppap.evaluation.trust import Trust, TrustMean, trust
from ppap.predictor import Predictor, Segmentation
from ppap.propagation import PatchSets, propagate
from ppap.rivals import (
    ans_only,
    baseline,
    hidden_positives,
    k_nearest,
    kmeans,
    sample_pool,
    tps_only,
)

__all__ = [
    "Batch",
    "PatchSets",
    "Predictor",
    "Segmentation",
    "SetLoss",
    "Trust",
    "TrustMean",
    "ans_only",
    "baseline",
    "chunked_loss",
    "contrastive_loss",
    "hidden_positives",
    "k_nearest",
    "kmeans",
    "load_backbone",
    "make_batch",
    "ppap_loss",
    "propagate",
    "sample_pool",
    "tps_only",
    "trust",
]
