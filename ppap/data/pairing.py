"""Which file is the label map of which picture, told from their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ppap.data.errors import LayoutError, printable
from ppap.data.formats import LABEL_SUFFIXES, LOSSY_SUFFIXES, suffix_of
from ppap.data.listing import without_suffix

_SEP = r"[_\-. ]"
_LABEL_WORDS = (
    "gtfine_labelids|gtcoarse_labelids|gtfine_labeltrainids|labelids|labeltrainids|labels?|masks?|"
    "gt|seg|segmentation|annotations?|annot|anno|ground_?truth|l"
)
_LABEL_END = re.compile(rf"(.+?){_SEP}(?:{_LABEL_WORDS})", re.IGNORECASE)
_LABEL_START = re.compile(
    rf"(?:masks?|labels?|gt|seg|annotations?|annot){_SEP}?(?=[\d_\-. ])(.+)", re.IGNORECASE
)
_PHOTO_END = re.compile(
    rf"(.+?){_SEP}(?:leftimg8bit|images?|img|photo|rgb|sat|orig|original|input)", re.IGNORECASE
)
_PHOTO_START = re.compile(
    rf"(?:images?|img|photos?|pictures?|rgb|sat|frame|input){_SEP}?(?=[\d_\-. ])(.+)", re.IGNORECASE
)


class Pairing(NamedTuple):
    """What belongs together."""

    labels: dict[str, str]
    """Stem of a picture → its label map."""
    stray: list[str]
    """Label maps without a picture."""


def is_label_name(name: str) -> bool:
    """Whether a label map could be called so; also in a format that spoils one."""
    suffix = suffix_of(name)
    return suffix in LABEL_SUFFIXES or suffix in LOSSY_SUFFIXES


def marked(stem: str) -> str | None:
    """``day/a_mask`` → ``day/a``: the picture that a file beside it may be the label map of."""
    below, _, base = stem.rpartition("/")
    found = _LABEL_END.fullmatch(base) or _LABEL_START.fullmatch(base)
    if found is None:
        return None
    return f"{below}/{found[1]}" if below else found[1]


def keys_of_photo(stem: str, file: str) -> Iterator[str]:
    """What a label map of this picture may be called, the likeliest first."""
    below, slash, base = stem.rpartition("/")
    yield f"0 {file}"
    yield f"1 {stem}"
    yield f"2 {stem}"
    if found := _PHOTO_END.fullmatch(base):
        yield f"2 {below}{slash}{found[1]}"
    if found := _PHOTO_START.fullmatch(base):
        yield f"3 {below}{slash}{found[1].lstrip('_-. ')}"
    yield f"3 {stem}"


def keys_of_label(stem: str) -> Iterator[str]:
    """What the picture of this label map may be called, the likeliest first."""
    below, slash, base = stem.rpartition("/")
    yield f"0 {stem}"
    yield f"1 {stem}"
    if found := _LABEL_END.fullmatch(base):
        yield f"2 {below}{slash}{found[1]}"
    if found := _LABEL_START.fullmatch(base):
        yield f"3 {below}{slash}{found[1].lstrip('_-. ')}"


def pair(photos: dict[str, str], labels: Iterable[str], folder: Path) -> Pairing:
    """Give every picture its label map.

    A label map is called as its picture is, or that with a word like ``_mask`` behind it or
    ``mask_`` before it; the plain name counts more. Folders below must be the same, or there must
    be none on one side.

    Args:
        photos: stem → path of the pictures.
        labels: paths of the label maps.
        folder: of the label maps, for error texts.

    Raises:
        LayoutError: two files could be the label map of one picture.
    """
    files = list(labels)
    found = _paired(photos, files, folder)
    if found.labels or not files or not photos:
        return found
    if any("/" in file for file in files) and any("/" in stem for stem in photos):
        return found
    flat = {stem.rpartition("/")[2]: stem for stem in photos}
    if len(flat) < len(photos):
        return found
    bare = {base: photos[stem].rpartition("/")[2] for base, stem in flat.items()}
    names = {file.rpartition("/")[2]: file for file in files}
    if len(names) < len(files):
        return found
    again = _paired(bare, list(names), folder)
    return Pairing(
        {flat[base]: names[name] for base, name in again.labels.items()},
        [names[name] for name in again.stray],
    )


def _paired(photos: dict[str, str], files: list[str], folder: Path) -> Pairing:
    wanted: dict[str, str] = {}
    for stem, file in photos.items():
        for spelling in keys_of_photo(stem, file):
            wanted.setdefault(spelling, stem)
    lossless = {without_suffix(file) for file in files if suffix_of(file) in LABEL_SUFFIXES}
    best: dict[str, tuple[str, str]] = {}
    claimed: dict[str, str] = {}
    for file in files:
        own = without_suffix(file)
        if own in lossless and suffix_of(file) not in LABEL_SUFFIXES:
            continue
        key = next((key for key in keys_of_label(own) if key in wanted), None)
        if key is None:
            continue
        photo = wanted[key]
        known = best.get(photo)
        if known is not None and known[0][0] == key[0]:
            raise LayoutError(
                folder,
                f"contains both {printable(known[1])} and {printable(file)}, which could each be "
                f"the label map of {printable(photos[photo])}: keep one of them",
            )
        if known is None or key[0] < known[0][0]:
            best[photo] = (key, file)
            claimed[photo] = file
    taken = set(claimed.values())
    return Pairing(claimed, [file for file in files if file not in taken])
