"""Lists of pictures as people write them: with suffixes, paths, pairs, comments and headings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ppap.data.errors import LayoutError, printable
from ppap.data.formats import IMAGE_SUFFIXES, LABEL_SUFFIXES, suffix_of
from ppap.data.listing import read_lines, without_suffix

_DRIVE = re.compile(r"^[A-Za-z]:[/\\]")
_HEADING_WORDS = """
    image images img photo file filename file_name name path id stem label labels mask masks
    annotation annotations gt image_path label_path mask_path image_id imageid split set
"""
_HEADING = frozenset(_HEADING_WORDS.split())


class Entry(NamedTuple):
    """A line that names something."""

    number: int
    """Of the line, from 1."""
    text: str


class Listed(NamedTuple):
    """A picture that a list names."""

    stem: str
    label: str | None
    """The label map that stands beside it in the list."""


def entries_of(path: Path) -> Iterator[Entry]:
    """Lines that are neither blank nor a comment; LayoutError as ``read_lines``."""
    for number, line in enumerate(read_lines(path), 1):
        if "\0" in line:
            raise LayoutError(path, f"lists a file outside the data set in line {number}")
        if line and not re.match(r"(#|//|;)(\s|$)", line):
            yield Entry(number, line)


def read_list(path: Path) -> list[str]:
    """The ids in the list of a published data set, one a line, without folders and suffixes.

    Raises:
        LayoutError: as ``read_lines``, or a name that would lead out of the data set.
    """
    names = []
    for number, line in entries_of(path):
        text = line.replace("\\", "/")
        if text.startswith("/") or ".." in PurePosixPath(text).parts:
            raise LayoutError(path, f"lists a file outside the data set in line {number}")
        name = text.rpartition("/")[2]
        known = suffix_of(name) in IMAGE_SUFFIXES or suffix_of(name) == ".mat"
        names.append(without_suffix(name) if known else name)
    return names


class Names:
    """Finds what a list may mean among the files that there are."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """``files``: stem → path, as ``images_by_stem`` gives them."""
        self.files = files
        self.whole: dict[str, list[str]] = {}
        """By the path, with and without suffix."""
        for stem, file in files.items():
            for spelling in {stem, file, without_suffix(file)}:
                self.whole.setdefault(spelling, []).append(stem)
        self.folded: dict[str, list[str]] | None = None
        """Whatever the capitals."""
        self.bare: dict[str, list[str]] = {}
        """By the name without its folders, whatever the capitals."""

    def find(self, text: str) -> list[str]:
        """Stems that a name or path may mean: the longest end of it that is known."""
        for way in dict.fromkeys((text, text.replace("\\", "/"))):
            parts = [p for p in _DRIVE.sub("/", way).split("/") if p not in ("", ".", "..")]
            ends = ["/".join(parts[start:]) for start in range(len(parts))]
            for end in ends:
                if found := self._of(end, self.whole):
                    return found
            self._fold()
            for end in ends:
                if found := self._of(end.casefold(), self.folded or {}):
                    return found
            if len(parts) == 1 and (found := self._of(parts[0].casefold(), self.bare)):
                return found
        return []

    @staticmethod
    def _of(end: str, known: Mapping[str, list[str]]) -> list[str]:
        if end in known:
            return known[end]
        return known.get(without_suffix(end), []) if suffix_of(end) in IMAGE_SUFFIXES else []

    def _fold(self) -> None:
        if self.folded is None:
            self.folded = {}
            for spelling, stems in self.whole.items():
                folded = spelling.casefold()
                for place, key in ((self.folded, folded), (self.bare, folded.rpartition("/")[2])):
                    known = place.setdefault(key, [])
                    known += [stem for stem in stems if stem not in known]


def pictures_listed(
    path: Path, names: Names, labels: Names, inside: str = "images/"
) -> list[Listed]:
    """The pictures that a list names, in its order.

    Args:
        path: the list; one picture a line, alone or followed by its label map.
        names: of the pictures that there are.
        labels: of the label maps that there are.
        inside: where pictures were looked for, for error texts.

    Raises:
        LayoutError: as ``read_lines``; or a line names nothing that is there, or several.
    """
    found: list[Listed] = []
    unknown: list[Entry] = []
    entries = list(entries_of(path))
    for entry in entries:
        listed = _listed(path, entry, names, labels)
        if listed is not None:
            found.append(listed)
        elif not (entry is entries[0] and _is_heading(entry.text)):
            unknown.append(entry)
    if unknown:
        number, text = unknown[0]
        if _leads_out(text):
            raise LayoutError(path, f"lists a file outside the data set in line {number}")
        others = "1 other" if len(unknown) == 2 else f"{len(unknown) - 1} others"
        more = f" (nor {others} that it lists)" if len(unknown) > 1 else ""
        raise LayoutError(
            path, f"lists '{printable(text)}', but {inside} contains no such image{more}"
        )
    return found


def _listed(path: Path, entry: Entry, names: Names, labels: Names) -> Listed | None:
    """What a line means; None if it names no picture."""
    for fields in readings(entry.text):
        stems = names.find(fields[0])
        if not stems:
            continue
        if len(stems) > 1:
            choice = " or ".join(sorted(printable(names.files[stem]) for stem in stems))
            raise LayoutError(
                path,
                f"lists '{printable(fields[0])}' in line {entry.number}, which could be {choice}: "
                "include the folder and the suffix",
            )
        stem = stems[0]
        for text in fields[1:]:
            if suffix_of(text) in LABEL_SUFFIXES:
                found = labels.find(text)
                if len(found) != 1:
                    raise LayoutError(
                        path,
                        f"lists the label map '{printable(text)}' in line {entry.number}, but "
                        f"there is {'more than one' if found else 'no'} such file",
                    )
                return Listed(stem, found[0])
        return Listed(stem, None)
    return None


def readings(line: str) -> Iterator[list[str]]:
    """The ways in which a line may be cut into fields, the most literal first."""
    yield [line]
    without = re.sub(r"\s+#.*$", "", line)
    for text in dict.fromkeys((line, without)):
        yield [_unquoted(text)]
        for separator in ("\t", ",", ";", "|", None):
            fields = [_unquoted(field) for field in text.split(separator)]
            fields = [field for field in fields if field]
            if len(fields) > 1:
                yield fields
                # Some write the number of the line, or the split, first.
                yield fields[1:]


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'").strip()


def _is_heading(text: str) -> bool:
    words = [_unquoted(word).casefold() for word in re.split(r"[\t,;|\s]+", text)]
    return bool(words) and all(word in _HEADING for word in words if word)


def _leads_out(text: str) -> bool:
    return text.startswith("/") or ".." in PurePosixPath(text.replace("\\", "/")).parts
