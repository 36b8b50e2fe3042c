"""Progressive proxy anchor propagation for unsupervised semantic segmentation, as a library."""

from ppap.propagation import PatchSets, propagate

__all__ = ["PatchSets", "propagate"]
