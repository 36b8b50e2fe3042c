"""Many lines of ``metrics.jsonl`` at once: what ``json`` reads in them, in a tenth of the time.

A run writes the same names line by line, so all that differs are the digits. Lines that look like
one another to the byte, but for their numbers, are read as columns by numpy; every other line goes
through ``json``. Nothing is guessed: names and punctuation are compared, digits are checked, and a
number whose last bit in half precision might come out differently is read again by ``json``.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainers.runs.metrics import read_line

KINDS = ("step", "validation")
# Of a name, a number and a step.
LONGEST_NAME, LARGEST, LARGEST_STEP = 100, 3e38, 2**53
# Names of numbers of one kind; what is named later is left out.
MOST_NAMES = 200
# What is no curve.
NOT_DRAWN = ("kind", "step", "split")

# Bytes read together: what they become stays in the processor's cache.
PIECE = 2**20
# Kinds of lines that are told apart in a piece, and lines below which none is looked for.
TEMPLATES, FEW = 4, 16
# Bytes of a number: a sign, a dot and three words of digits. Lines with longer ones are odd.
LONGEST_NUMBER = 25

NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
NUMERIC = re.compile(NUMBER.encode())
NAME = r'[^"\\:\x00-\x1f\x7f-\xff]+'
REGULAR = re.compile(
    rf'\{{"kind": "{NAME}", "step": [0-9]+(?:, "{NAME}": (?:{NUMBER}|null))*\}}'.encode()
)
PARTS = re.compile(rf'(?:\{{"kind": "({NAME})")?, "({NAME})": (?={NUMBER}|null)'.encode())

Words = NDArray[np.uint64]
Places = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Rows(NamedTuple):
    """Rows of one kind, in the file's order."""

    steps: NDArray[np.int64]
    columns: dict[str, NDArray[np.float32]]
    """By name; NaN where a row has no such number, or none that can be drawn."""


def parse(data: bytes) -> dict[str, Rows]:
    """The rows in whole lines, by kind; kinds without any are left out.

    Args:
        data: whole lines, each with its end.
    """
    found: dict[str, list[tuple[Places, Rows]]] = {kind: [] for kind in KINDS}
    for begin, end in pieces(data):
        piece = Piece(data[begin:end])
        for kind, (lines, rows) in piece.read():
            found[kind].append((lines + begin, rows))
    return {kind: joined(parts) for kind, parts in found.items() if parts}


def pieces(data: bytes) -> list[tuple[int, int]]:
    """Where to cut into pieces of about ``PIECE`` bytes, between lines."""
    cuts = [0]
    while cuts[-1] < len(data):
        end = cuts[-1] + PIECE
        end = len(data) if end >= len(data) else data.rfind(b"\n", cuts[-1], end) + 1
        if end == 0:  # a line longer than a piece
            end = data.find(b"\n", cuts[-1]) + 1 or len(data)
        cuts.append(end)
    return list(itertools.pairwise(cuts))


def joined(parts: list[tuple[Places, Rows]]) -> Rows:
    """One table of several, their rows in the order of their places in the file."""
    if len(parts) == 1:
        return parts[0][1]
    places = np.concatenate([place for place, _ in parts])
    order = np.argsort(places, kind="stable")
    named = dict.fromkeys(name for _, rows in parts for name in rows.columns)
    names = itertools.islice(named, MOST_NAMES)
    columns = {}
    for name in names:
        column = np.concatenate(
            [rows.columns.get(name, missing(len(rows.steps))) for _, rows in parts]
        )
        columns[name] = column[order]
    return Rows(np.concatenate([rows.steps for _, rows in parts])[order], columns)


def missing(count: int) -> NDArray[np.float32]:
    """A column of no numbers."""
    return np.full(count, np.nan, np.float32)


def as_rows(records: list[tuple[int, Mapping[str, Any]]]) -> tuple[Places, Rows]:
    """Records of one kind as columns, with their places."""
    columns: dict[str, NDArray[np.float32]] = {}
    for row, (_, record) in enumerate(records):
        for name, value in record.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not drawn(name):
                continue
            if name not in columns:
                if len(columns) == MOST_NAMES:
                    continue
                columns[name] = missing(len(records))
            columns[name][row] = drawable(value)
    places = np.array([place for place, _ in records], np.int64)
    steps = np.array([record["step"] for _, record in records], np.int64)
    return places, Rows(steps, columns)


def drawn(name: str) -> bool:
    """Whether numbers of that name are a curve."""
    return name not in NOT_DRAWN and len(name) <= LONGEST_NAME and name.isprintable()


def drawable(value: float) -> float:
    """As a column holds it; NaN for what it cannot."""
    try:
        found = float(value)
    except OverflowError:
        return math.nan
    return found if abs(found) <= LARGEST else math.nan


@dataclass(frozen=True)
class Template:
    """What lines have in common: all but their numbers."""

    kind: str
    names: tuple[str, ...]
    literals: tuple[bytes, ...]
    """Before each number, the step's first."""

    @classmethod
    def of(cls, line: bytes) -> Template | None:
        """That of a line; None for one that is read by ``json``."""
        if not REGULAR.fullmatch(line):
            return None
        found = list(PARTS.finditer(line))
        names = tuple(match[2].decode("ascii") for match in found)
        # Of what is said twice, json takes the last.
        if len(set(names)) < len(names) or "kind" in names or len(names) > MOST_NAMES:
            return None
        return cls(found[0][1].decode("ascii"), names[1:], tuple(match[0] for match in found))


class Piece:
    """Some lines, and where in them the colons are."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        # From every byte on, eight bytes as a word; those of the last number reach beyond the end.
        beyond = data + bytes(64)
        self.words = np.ndarray((len(data) + 56,), "<u8", beyond, strides=(1,))
        self.bytes = np.frombuffer(data, np.uint8)
        self.ends = np.flatnonzero(self.bytes == ord("\n"))
        self.begins = np.concatenate([[0], self.ends[:-1] + 1]) if len(self.ends) else self.ends
        self.colons = np.flatnonzero(self.bytes == ord(":"))
        self.first = np.searchsorted(self.colons, self.begins)
        self.count = np.diff(np.append(self.first, len(self.colons)))

    def read(self) -> list[tuple[str, tuple[Places, Rows]]]:
        """Rows by kind, each with its place."""
        found: list[tuple[str, tuple[Places, Rows]]] = []
        left = np.arange(len(self.ends))
        for _ in range(TEMPLATES):
            if len(left) < FEW:
                break
            # What stands in the middle is more likely to be one of many than the first is.
            template = Template.of(self.line(left[len(left) // 2]))
            if template is None:
                middle = len(left) // 2
                found += self.one_by_one(left[middle : middle + 1])
                left = np.delete(left, middle)
                continue
            fits, rows = self.regular(left, template)
            if template.kind in KINDS and fits.any():
                found.append((template.kind, (self.begins[left[fits]], rows)))
            left = left[~fits]
        return found + self.one_by_one(left)

    def one_by_one(self, lines: Places) -> list[tuple[str, tuple[Places, Rows]]]:
        """The rows in lines that are read by ``json``, by kind."""
        rows: dict[str, list[tuple[int, Mapping[str, Any]]]] = {kind: [] for kind in KINDS}
        for line in lines:
            record = read_line(self.line(line))
            if record is None or record["kind"] not in rows:
                continue
            if 0 <= record["step"] <= LARGEST_STEP:
                rows[record["kind"]].append((int(self.begins[line]), record))
        return [(kind, as_rows(found)) for kind, found in rows.items() if found]

    def line(self, number: int) -> bytes:
        """A line, without its end."""
        return self.data[self.begins[number] : self.ends[number]]

    def at(self, places: Places) -> Words:
        """The eight bytes from each place on, the first the lowest."""
        found: Words = self.words[places]
        return found

    def regular(self, lines: Places, template: Template) -> tuple[NDArray[np.bool_], Rows]:
        """Which of the lines fit a template, and their rows."""
        fits = self.count[lines] == len(template.literals) + 1
        starts, stops, good = self.places(lines[fits], template)
        kept = np.flatnonzero(good)
        starts, stops = starts[kept], stops[kept]
        whole = np.ones(len(kept), bool)
        for column, literal in enumerate(template.literals):
            whole &= self.same(starts[:, column] - len(literal), literal)
        steps, known = self.integers(starts[:, 0], stops[:, 0])
        whole &= known
        columns = {}
        for column, name in enumerate(template.names, 1):
            values, known = self.numbers(starts[:, column], stops[:, column])
            whole &= known
            if drawn(name):
                columns[name] = values
        good[kept] = whole
        fits[fits] = good
        return fits, Rows(steps[whole], {name: values[whole] for name, values in columns.items()})

    def places(self, lines: Places, template: Template) -> tuple[Places, Places, Mask]:
        """Where each line's numbers begin and end, if it fits; and which lines may."""
        count = len(template.literals)
        colons = self.colons[self.first[lines][:, None] + np.arange(1, count + 1)]
        starts = colons + 2
        lengths = np.array([len(literal) for literal in template.literals])
        lasts = self.ends[lines] - 1
        stops = np.concatenate([starts[:, 1:] - lengths[1:], lasts[:, None]], axis=1)
        size = stops - starts
        good = starts[:, 0] - lengths[0] == self.begins[lines]
        good &= self.bytes[lasts] == ord("}")
        good &= ((size > 0) & (size <= LONGEST_NUMBER)).all(1)
        return starts, stops, good

    def same(self, places: Places, text: bytes) -> Mask:
        """Whether ``text`` stands at each place."""
        found = np.ones(len(places), bool)
        for begin in [*range(0, len(text) - 8, 8), max(0, len(text) - 8)]:
            part = text[begin : begin + 8]
            mask = np.uint64((1 << 8 * len(part)) - 1)
            found &= (self.at(places + begin) & mask) == np.uint64(int.from_bytes(part, "little"))
        return found

    def integers(self, starts: Places, stops: Places) -> tuple[NDArray[np.int64], Mask]:
        """Whole numbers of at most eight digits, and which are."""
        size = stops - starts
        digits = only(self.at(starts), np.minimum(size, 8))
        first = self.bytes[starts]
        known = (size <= 8) & decimal(digits) & ((first != ord("0")) | (size == 1))
        return value(digits).astype(np.int64), known

    def numbers(self, starts: Places, stops: Places) -> tuple[NDArray[np.float32], Mask]:
        """As ``json`` reads them, in half precision; and which are numbers at all, or null."""
        negative = self.bytes[starts] == ord("-")
        begins = starts + negative
        size = stops - begins
        head = self.at(begins)
        before = np.minimum(dot(head), size)
        after = np.maximum(size - before - 1, 0)
        whole = only(head, np.minimum(before, 8))
        high = only(self.at(begins + before + 1), np.minimum(after, 8))
        low = only(self.at(begins + before + 9), np.clip(after - 8, 0, 8))
        sure = decimal(whole) & decimal(high) & decimal(low)
        sure &= (before > 0) & ((before < 8) | (size == 8)) & ((after > 0) | (before == size))
        sure &= ((head & np.uint64(0xFF)) != ord("0")) | (before == 1)
        exponent = np.minimum(after, 16)
        fraction = value(high) * TENS[np.clip(after - 8, 0, 8)] + value(low)
        found = value(whole).astype(np.float64) + fraction.astype(np.float64) / POWERS[exponent]
        # Digits that were cut off, and two roundings: far from the middle between two neighbours
        # in half precision, none of them matters.
        longer = np.flatnonzero(after > 16)
        if len(longer):
            rest = only(self.at(begins[longer] + before[longer] + 17), after[longer] - 16)
            sure[longer] &= decimal(rest) & (found[longer] > 1e-3)
        result = found.astype(np.float32)
        sure &= (found * (1 - 1e-12)).astype(np.float32) == result
        sure &= (found * (1 + 1e-12)).astype(np.float32) == result
        sure &= (found > 0) | ~negative  # -0 is a whole number, and 0
        result = np.where(negative, -result, result)
        known = np.ones(len(starts), bool)
        for row in np.flatnonzero(~sure):
            text = self.data[starts[row] : stops[row]]
            known[row] = text == b"null" or NUMERIC.fullmatch(text) is not None
            result[row] = drawable(json.loads(text)) if known[row] and text != b"null" else math.nan
        return result, known


EIGHTS = np.arange(9, dtype=np.uint64) * np.uint64(8)
TENS = 10 ** np.arange(9, dtype=np.uint64)
POWERS = 10.0 ** np.arange(17)
ZEROS = np.uint64(0x3030303030303030)
DOTS = np.uint64(0x2E2E2E2E2E2E2E2E)
ONES = np.uint64(0x0101010101010101)
TOPS = np.uint64(0x8080808080808080)
BELOW = np.uint64(0x7676767676767676)


def only(words: Words, count: Places) -> Words:
    """The first ``count`` of eight digits moved to the end, zeros before them; '0' is 0."""
    kept = EIGHTS[8 - count]
    moved = (words ^ ZEROS) << np.minimum(kept, np.uint64(56))
    return np.where(count > 0, moved, np.uint64(0))


def decimal(digits: Words) -> Mask:
    """Whether all eight bytes are 0 to 9."""
    return (((digits + BELOW) | digits) & TOPS) == 0


def value(digits: Words) -> Words:
    """The number that eight digits make: pairs, then fours, then all eight together."""
    pairs = digits * np.uint64(10) + (digits >> np.uint64(8))
    mask = np.uint64(0x000000FF000000FF)
    high = (pairs & mask) * np.uint64(0x000F424000000064)
    low = ((pairs >> np.uint64(16)) & mask) * np.uint64(0x0000271000000001)
    return (high + low) >> np.uint64(32)


def dot(words: Words) -> Places:
    """Where the first of eight bytes that is a dot stands; 8 where none does."""
    # Borrows reach only bytes above the first zero, and the lowest one counts.
    differs = words ^ DOTS
    zero = (differs - ONES) & ~differs & TOPS
    below = (zero & (~zero + np.uint64(1))) - np.uint64(1)
    return (np.bitwise_count(below) >> 3).astype(np.int64)
