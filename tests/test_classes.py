"""Class lists, held against facts that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ppap.data import (
    CAMVID11,
    CITYSCAPES27,
    COCOSTUFF27,
    COCOSTUFF_FINE_TO_COARSE,
    POTSDAM3,
    VOID_COLOUR,
    ClassList,
    palette,
)

LISTS = [(COCOSTUFF27, 27), (CITYSCAPES27, 27), (POTSDAM3, 3), (CAMVID11, 11)]


@pytest.mark.parametrize(("classes", "count"), LISTS)
def test_names_and_colours_are_unique(classes: ClassList, count: int) -> None:
    assert len(classes) == len(set(classes.names)) == len(set(classes.colours)) == count
    assert VOID_COLOUR not in classes.colours


# COCO-Stuff's own names of some ids, and where one would look for them.
KNOWN = {
    0: "person",  # person
    2: "vehicle",  # car
    14: "outdoor",  # bench
    16: "animal",  # cat
    26: "accessory",  # backpack
    36: "sports",  # sports ball
    47: "kitchen",  # fork
    52: "food (thing)",  # apple
    61: "furniture (thing)",  # chair
    71: "electronic",  # tv
    81: "appliance",  # refrigerator
    83: "indoor",  # book
    101: "ceiling",  # ceiling-other
    105: "sky",  # clouds
    123: "plant",  # grass
    156: "sky",  # sky-other
    154: "water",  # sea
    168: "plant",  # tree
    174: "wall",  # wall-stone
    179: "window",  # window-blind
}


def test_fine_to_coarse() -> None:
    assert COCOSTUFF_FINE_TO_COARSE.shape == (182,)
    assert set(COCOSTUFF_FINE_TO_COARSE.tolist()) == set(range(27))
    for fine, name in KNOWN.items():
        assert COCOSTUFF27.names[COCOSTUFF_FINE_TO_COARSE[fine]] == name, fine
    # Things come first: 12 classes of 91 ids.
    assert COCOSTUFF_FINE_TO_COARSE[:91].max() == 11
    assert COCOSTUFF_FINE_TO_COARSE[91:].min() == 12
    sizes = np.bincount(COCOSTUFF_FINE_TO_COARSE)
    assert sizes[:12].tolist() == [6, 6, 10, 10, 8, 8, 8, 10, 6, 1, 10, 8]
    with pytest.raises(ValueError, match="read-only"):
        COCOSTUFF_FINE_TO_COARSE[0] = 1


@pytest.mark.parametrize("count", [0, 1, 24, 25, 255, 920])
def test_palette(count: int) -> None:
    colours = palette(count)
    assert len(set(colours)) == len(colours) == count
    assert all(0 <= part <= 255 for colour in colours for part in colour)
    assert palette(1000)[:count] == colours
