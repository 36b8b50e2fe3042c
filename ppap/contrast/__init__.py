"""Patches and their features → the loss that the network learns from: Eq. 8, and STEGO's."""

from ppap.contrast.correspondence import (
    StegoLoss,
    StegoSettings,
    correspondence,
    pair_loss,
    stego_loss,
)
from ppap.contrast.nearest import nearest_images
from ppap.contrast.objective import SetLoss, chunked_loss, contrastive_loss, ppap_loss
from ppap.contrast.sampling import sample_at, sampled_positions

__all__ = [
    "SetLoss",
    "StegoLoss",
    "StegoSettings",
    "chunked_loss",
    "contrastive_loss",
    "correspondence",
    "nearest_images",
    "pair_loss",
    "ppap_loss",
    "sample_at",
    "sampled_positions",
    "stego_loss",
]
