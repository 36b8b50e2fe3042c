"""Eq. 8: patch sets and projected features → the loss that the network learns from."""

from ppap.contrast.objective import SetLoss, chunked_loss, contrastive_loss, ppap_loss

__all__ = ["SetLoss", "chunked_loss", "contrastive_loss", "ppap_loss"]
