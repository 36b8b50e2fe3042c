"""The sample photos that come with the project, as a data set."""

from __future__ import annotations

from ppap.data.base import Dataset, Item, read_upright
from ppap.data.classes import COCOSTUFF27, ClassList
from ppap.data.errors import LayoutError
from ppap.data.labels import VOID, label_table

KIND = "samples"
# What the photos show, of COCO-Stuff-27's classes: with all of them most clusters would have
# nothing to stand for.
SHOWN = ("animal", "building", "ground", "plant", "sky", "solid", "water")
IDS = tuple(COCOSTUFF27.names.index(name) for name in SHOWN)
CLASSES = ClassList(SHOWN, tuple(COCOSTUFF27.colours[i] for i in IDS))


def samples_dataset() -> Dataset:
    """The sample photos with hand-drawn labels in seven of COCO-Stuff-27's classes; one split,
    ``all``.

    Raises:
        LayoutError: the installed packages that hold the photos lack all of them.
    """
    from ppap.data import samples

    try:
        found = samples.samples()
    except FileNotFoundError as error:
        raise LayoutError("The sample photos", f"cannot be shown. {error}") from None
    missing = len(samples.ORDER) - len(found)
    return Dataset(
        name=KIND,
        title="Sample photos",
        root=samples.FOLDER,
        split="all",
        splits=("all",),
        items=tuple(Item(sample.name, sample.photo, sample.labels) for sample in found),
        class_list=CLASSES,
        table=label_table({**{stored: i for i, stored in enumerate(IDS)}, 255: VOID}),
        notes=(f"{missing} sample photos are missing.",) if missing else (),
        read_photo=read_upright,
    )
