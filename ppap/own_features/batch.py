"""Arrays of one's own → a batch, as every rule and every view takes it."""

from __future__ import annotations

import numpy as np
import torch

from ppap.backbones import BackboneInfo
from ppap.batches import Batch, resized, resized_labels
from ppap.data import printable
from ppap.own_features.arrays import (
    OwnFeatures,
    as_features,
    as_picture,
    check_count,
    check_grids,
    class_list,
    enough_classes,
    labels_of,
)
from ppap.own_features.pictures import notes_on, patch_side, stand_ins
from ppap.propagation import unit

# What they are called unless somebody says otherwise.
INFO = BackboneInfo("own", "Own features", "Features of your own, as they came.", False)


def own_batch(own: OwnFeatures, info: BackboneInfo = INFO) -> Batch:
    """A batch of features of one's own.

    Args:
        own: the arrays; features are L2-normalised here. Pictures are brought to a whole number of
            pixels a patch; labels of pixels count by majority, as everywhere. A 255 in labels of 8
            bits is void, unless there are that many classes.
        info: what the features are called.

    Raises:
        BatchError: something has another shape, type or size than it must have, does not fit the
            rest, or is not finite; names it.
    """
    vectors = [as_features(one, i) for i, one in enumerate(own.features)]
    grids = check_grids([tuple(one.shape) for one in vectors])
    count = len(vectors)
    pictures = None if own.images is None else [as_picture(o, i) for i, o in enumerate(own.images)]
    check_count("images", pictures, count)
    check_count("labels", own.labels, count)
    check_count("names", own.names or None, count)
    flat = torch.cat([one.flatten(0, 1) for one in vectors])
    del vectors  # up to half a gigabyte
    features = unit(flat)
    side = patch_side(grids, pictures)
    if pictures is None:
        shown = stand_ins(features, grids, side)
    else:
        shown = [
            resized(one, grid.rows * side, grid.columns * side)
            for one, grid in zip(pictures, grids, strict=True)
        ]
    known = class_list(own.classes)
    maps = None if own.labels is None else list(labels_of(own.labels, grids, len(known)))
    if maps is not None:
        known = enough_classes(known, maps)
    return Batch(
        names=tuple(map(printable, own.names)) or tuple(f"image {i + 1}" for i in range(count)),
        notes=tuple(notes_on(pictures, grids)),
        images=tuple(shown),
        features=features,
        grids=grids,
        backbone=info,
        pixel_labels=None
        if maps is None
        else tuple(
            resized_labels(one.stored, grid.rows * side, grid.columns * side)
            for one, grid in zip(maps, grids, strict=True)
        ),
        labels=None
        if maps is None
        else torch.from_numpy(np.concatenate([one.by_patch.reshape(-1) for one in maps])),
        classes=known.names,
        colours=known.colours,
        norms=flat.norm(dim=1),
    )
