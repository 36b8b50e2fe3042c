"""Progressive proxy anchor propagation for unsupervised semantic segmentation, as a library.

Each name is imported when it is first used: ``import ppap`` alone takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from ppap.studio.inline import explore

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "PatchSets",
    "Predictor",
    "Segmentation",
    "SetLoss",
    "Trust",
    "TrustMean",
    "__version__",
    "ans_only",
    "baseline",
    "chunked_loss",
    "contrastive_loss",
    "explore",
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

_MODULES = {
    "ppap.backbones": ("load_backbone",),
    "ppap.batches": ("Batch", "make_batch"),
    "ppap.contrast": ("SetLoss", "chunked_loss", "contrastive_loss", "ppap_loss"),
    "ppap.evaluation.trust": ("Trust", "TrustMean", "trust"),
    "ppap.predictor": ("Predictor", "Segmentation"),
    "ppap.propagation": ("PatchSets", "propagate"),
    "ppap.rivals": (
        "ans_only",
        "baseline",
        "hidden_positives",
        "k_nearest",
        "kmeans",
        "sample_pool",
        "tps_only",
    ),
    # Of the browser side, which the library knows nothing else of; gradio is imported when it is
    # called.
    "ppap.studio.inline": ("explore",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


if not TYPE_CHECKING:  # which would believe that every name exists

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'ppap' has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
