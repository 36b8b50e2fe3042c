"""Pictures, label maps and data sets."""

from ppap.data.base import Dataset, Example, Item
from ppap.data.classes import (
    CAMVID11,
    CITYSCAPES27,
    COCOSTUFF27,
    COCOSTUFF_FINE_TO_COARSE,
    POTSDAM3,
    VOID_COLOUR,
    ClassList,
    palette,
)
from ppap.data.crops import five_crops
from ppap.data.errors import DataError, ImageError, LabelError, LayoutError, printable
from ppap.data.findings import Finding, preflight
from ppap.data.images import MAX_PIXELS, Photo, read_image
from ppap.data.labels import VOID, patch_labels, read_labels
from ppap.data.opening import KINDS, available_splits, detect_kind, open_dataset
from ppap.data.sample_photos import samples_dataset
from ppap.data.squares import square, square_labels

__all__ = [
    "CAMVID11",
    "CITYSCAPES27",
    "COCOSTUFF27",
    "COCOSTUFF_FINE_TO_COARSE",
    "KINDS",
    "MAX_PIXELS",
    "POTSDAM3",
    "VOID",
    "VOID_COLOUR",
    "ClassList",
    "DataError",
    "Dataset",
    "Example",
    "Finding",
    "ImageError",
    "Item",
    "LabelError",
    "LayoutError",
    "Photo",
    "available_splits",
    "detect_kind",
    "five_crops",
    "open_dataset",
    "palette",
    "patch_labels",
    "preflight",
    "printable",
    "read_image",
    "read_labels",
    "samples_dataset",
    "square",
    "square_labels",
]
