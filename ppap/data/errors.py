"""What goes wrong with pictures, label maps and folders, told as sentences that name the file."""

from __future__ import annotations

from pathlib import Path


def printable(name: str | Path) -> str:
    r"""A name that can be shown: line breaks and bytes that are no text become escapes (``\n``).

    Markup stays as it is: whoever puts a name into a page has to escape it there.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


class DataError(ValueError):
    """Something on disk cannot be used. ``name`` says what, ``reason`` completes the sentence."""

    def __init__(self, name: str | Path, reason: str) -> None:
        super().__init__(printable(name), reason)
        self.name = printable(name)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name} {self.reason}"


class ImageError(DataError):
    """A picture that cannot be read."""


class LabelError(DataError):
    """A label map that cannot be read, or does not fit its picture or its classes."""


class LayoutError(DataError):
    """A folder without the files its kind of data set must have."""
