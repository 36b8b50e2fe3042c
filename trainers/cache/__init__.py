"""Cached features: what the last block needs, worked out once per image and kept on disk.

The trunk is frozen and training does not augment, so every epoch and every run would work out the
same numbers again. ``plan_cache`` says what a cache will need, ``open_cache`` builds what is
missing of it, and ``trim`` keeps all of them within a budget.
"""

from trainers.cache.budget import caches, trim
from trainers.cache.build import Square, read_square
from trainers.cache.errors import CacheError, CacheStoppedError
from trainers.cache.features import CachedBatch, FeatureCache
from trainers.cache.opening import open_cache
from trainers.cache.plan import CachePlan, plan_cache

__all__ = [
    "CacheError",
    "CachePlan",
    "CacheStoppedError",
    "CachedBatch",
    "FeatureCache",
    "Square",
    "caches",
    "open_cache",
    "plan_cache",
    "read_square",
    "trim",
]
