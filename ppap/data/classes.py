"""Class names and colours of the published data sets, and colours for any others."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]
# What has no class; no class list below uses this grey.
VOID_COLOUR: Colour = (160, 160, 160)


@dataclass(frozen=True)
class ClassList:
    """Names and RGB colours, both indexed by class id; names are unique."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]

    def __len__(self) -> int:
        return len(self.names)


def from_table(table: str) -> ClassList:
    """Lines of ``rrggbb name``, class 0 first."""
    rows = [line.split(maxsplit=1) for line in table.strip().splitlines()]
    colours = tuple((int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c, _ in rows)
    return ClassList(tuple(name for _, name in rows), colours)


def with_palette(names: Sequence[str]) -> ClassList:
    """Any class names with colours of our own choice."""
    return ClassList(tuple(names), palette(len(names)))


# The published order. "Food" and "furniture" each occur twice, hence the additions in brackets.
# Hues remind of the class where they can; within that, the colours were searched for the largest
# smallest distance, also as people with protanopia and deuteranopia see them (CIELAB distance at
# least 20, 15 and 15; 27 colours cannot all be far apart).
COCOSTUFF27 = from_table("""
4f2ee3 electronic
c196c3 appliance
f99d09 food (thing)
702004 furniture (thing)
df1bce indoor
28e5c7 kitchen
ce1b91 accessory
f1df60 animal
4d0b6b outdoor
f91103 person
e4fe03 sports
02058e vehicle
f0f9fe ceiling
d3ba8c floor
f8834d food (stuff)
a7754b furniture (stuff)
7f7f69 raw material
e3939a textile
f4feb0 wall
8adafe window
5b3633 building
6a5432 ground
428b0a plant
4d9eff sky
5a575e solid
2c2745 structural
086f8a water
""")

# COCO-Stuff ids 0 to 181, twenty a line, as the 27 classes above.
_COCOSTUFF_ROWS = """
     9 11 11 11 11 11 11 11 11  8  8  8  8  8  8  7  7  7  7  7
     7  7  7  7  7  6  6  6  6  6  6  6  6 10 10 10 10 10 10 10
    10 10 10  5  5  5  5  5  5  5  5  2  2  2  2  2  2  2  2  2
     2  3  3  3  3  3  3  3  3  3  3  0  0  0  0  0  0  1  1  1
     1  1  1  4  4  4  4  4  4  4  4 17 17 22 20 20 22 15 25 16
    13 12 12 17 17 23 15 15 17 15 21 15 25 13 13 13 13 13 22 26
    14 14 15 22 21 21 24 20 22 15 17 16 15 22 24 21 17 25 16 21
    17 22 16 21 21 25 21 26 21 24 20 17 14 21 26 15 23 20 21 24
    15 24 22 25 15 20 17 17 22 14 18 18 18 18 18 18 18 26 26 19
    19 24
"""
COCOSTUFF_FINE_TO_COARSE = np.array(_COCOSTUFF_ROWS.split(), np.int64)
"""COCO-Stuff id → one of the 27 classes, int64 ``(182,)``."""
COCOSTUFF_FINE_TO_COARSE.setflags(write=False)

# The data set's official colours; only polegroup, which officially shares pole's, is darker.
CITYSCAPES27 = from_table("""
804080 road
f423e8 sidewalk
faaaa0 parking
e6968c rail track
464646 building
66669c wall
be9999 fence
b4a5b4 guard rail
966464 bridge
96785a tunnel
999999 pole
737373 polegroup
faaa1e traffic light
dcdc00 traffic sign
6b8e23 vegetation
98fb98 terrain
4682b4 sky
dc143c person
ff0000 rider
00008e car
000046 truck
003c64 bus
00005a caravan
00006e trailer
005064 train
0000e6 motorcycle
770b20 bicycle
""")

POTSDAM3 = from_table("""
56b4e9 roads and cars
d55e00 buildings and clutter
009e73 vegetation
""")

# Cityscapes' colours where the class is the same.
CAMVID11 = from_table("""
4682b4 sky
464646 building
c0c080 pole
804080 road
f423e8 pavement
6b8e23 tree
dcdc00 sign symbol
be9999 fence
00008e car
dc143c pedestrian
770b20 bicyclist
""")

# Okabe and Ito's colours, then those farthest from all before them, again for three kinds of sight.
_FIRST_COLOURS = from_table("""
0072b2 1
e69f00 2
009e73 3
cc79a7 4
d55e00 5
56b4e9 6
f0e442 7
1b02fa 8
652c11 9
03fe98 10
2e6ffd 11
1b4447 12
a5fbe2 13
510da2 14
44346d 15
6c97fe 16
e1a25b 17
c3444b 18
34e9f9 19
b2fc75 20
f89fa7 21
9c3f0d 22
023ae0 23
027c78 24
""").colours
_GOLDEN = (5**0.5 - 1) / 2


def palette(count: int) -> tuple[Colour, ...]:
    """``count`` colours, all different: 24 chosen ones, then a walk around the hues."""
    colours = list(_FIRST_COLOURS[:count])
    used = set(colours)
    step = 0
    while len(colours) < count:
        step += 1
        hue = step * _GOLDEN % 1
        saturation, value = 0.45 + 0.5 * (step * 5 % 7) / 6, 0.45 + 0.5 * (step * 3 % 11) / 10
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
        colour = (round(red * 255), round(green * 255), round(blue * 255))
        if colour not in used:
            used.add(colour)
            colours.append(colour)
    return tuple(colours)
