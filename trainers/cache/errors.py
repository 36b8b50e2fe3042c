"""What goes wrong with cached features, told as sentences that say what to do."""

from __future__ import annotations


class CacheError(RuntimeError):
    """Features cannot be kept or read; training works without a cache."""


class CacheStoppedError(RuntimeError):
    """Building was stopped on request; what is stored stays, and the next run goes on from it."""
