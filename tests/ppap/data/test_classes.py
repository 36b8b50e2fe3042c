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


# The same table written the other way round: coarse class, then its stuff ids.
STUFF = """
12 101 102
13 100 113 114 115 116 117
14 120 121 152 169
15 97 106 107 109 111 122 129 132 155 160 164
16 99 131 138 142
17 91 92 103 104 108 130 136 140 151 166 167
18 170 171 172 173 174 175 176
19 179 180
20 94 95 127 150 157 165
21 110 124 125 135 139 143 144 146 148 153 158
22 93 96 118 123 128 133 141 162 168
23 105 156
24 126 134 149 159 161 181
25 98 112 137 145 163
26 119 147 154 177 178
"""


def test_stuff_ids() -> None:
    expected: dict[int, int] = {}
    for line in STUFF.strip().splitlines():
        coarse, *fine = map(int, line.split())
        expected |= dict.fromkeys(fine, coarse)
    assert sorted(expected) == list(range(91, 182))
    assert {i: int(c) for i, c in enumerate(COCOSTUFF_FINE_TO_COARSE) if i > 90} == expected


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
