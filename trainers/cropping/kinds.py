"""What may be cropped: the names that the command knows, and their kinds of data set."""

from __future__ import annotations

# What may be cropped, and its kind of data set. The published runs know two by shorter names.
DATASETS = {
    "cocostuff27": "cocostuff27",
    "cityscapes27": "cityscapes27",
    "cityscapes": "cityscapes27",
    "potsdam3": "potsdam3",
    "potsdam": "potsdam3",
    "camvid": "camvid",
    "folder": "folder",
}
