"""Class names that everybody knows, with the colours that their label maps are painted in."""

from __future__ import annotations

from ppap.data.class_files import USUAL_VOID, Named
from ppap.data.classes import CITYSCAPES27, Colour
from ppap.data.coding import voc_colour
from ppap.data.labels import VOID

_VOC_NAMES = """
    background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog
    horse motorbike person pottedplant sheep sofa train tvmonitor
"""
VOC21 = tuple(_VOC_NAMES.split())
# The borders that PASCAL VOC leaves open.
_VOC_BORDER: Colour = (224, 224, 192)
# Cityscapes' colours of what is not evaluated.
_CITYSCAPES_VOID: tuple[Colour, ...] = ((0, 0, 0), (20, 20, 20), (111, 74, 0), (81, 0, 81))
_OTHER_NAMES = {
    "airplane": "aeroplane",
    "plane": "aeroplane",
    "dining table": "diningtable",
    "motorcycle": "motorbike",
    "potted plant": "pottedplant",
    "couch": "sofa",
    "tv": "tvmonitor",
    "tv/monitor": "tvmonitor",
}


def with_known_colours(named: Named) -> Named:
    """Give classes of PASCAL VOC or Cityscapes their colours, where the file gives none.

    Only where every name is one of theirs: the first of VOC's colours are dark red and dark green,
    which people choose for other classes, too.
    """
    if named.colours or not named.names:
        return named
    numbers = {class_id: number for number, class_id in named.numbers.items() if class_id != VOID}
    names = [name.casefold() for name in named.names]
    cities = dict(zip(CITYSCAPES27.names, CITYSCAPES27.colours, strict=True))
    voc = {name: voc_colour(index) for index, name in enumerate(VOC21)}
    plain = [_OTHER_NAMES.get(name, name) for name in names]
    if all(name in cities for name in names):
        known, void = [cities[name] for name in names], _CITYSCAPES_VOID
    elif all(name in voc for name in plain):
        known, void = [voc[name] for name in plain], (_VOC_BORDER,)
    else:
        return named
    named.implied = True
    named.colours = {colour: numbers[i] for i, colour in enumerate(known)}
    named.colours |= {colour: USUAL_VOID for colour in void if colour not in named.colours}
    named.numbers.setdefault(USUAL_VOID, VOID)
    return named
