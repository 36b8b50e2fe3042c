"""The file that names one's own classes, in the forms that people and programs write it.

``classes.txt`` has one class a line, class 0 first. A line may say more: ``7 road`` (the number
that stands in the label maps), ``road #804080`` or ``road 128 64 128`` (its colour), ``void 0`` (a
number or colour that means no class). Other programs' files are read as they are:
``class_dict.csv``, ``_classes.csv``, ``labelmap.txt``, ``label_colors.txt``, ``mapping.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ppap.data.classes import ClassList, Colour, with_palette
from ppap.data.errors import LayoutError, printable
from ppap.data.labels import VOID
from ppap.data.listing import names_in, read_lines

MOST_CLASSES = 10_000
CLASSES = "classes.txt"
# Other names and programs, the likeliest first.
_TEXTS = ("labelmap.txt", "label_colors.txt", "labels.txt", "class_names.txt", "names.txt")
_TABLES = ("class_dict.csv", "class_dict_seg.csv", "_classes.csv", "classes.csv", "labels.csv")
_JSONS = ("mapping.json", "classes.json", "id2label.json", "label_map.json", "labels.json")
FILES = (CLASSES, *_TEXTS, *_TABLES, *_JSONS)
_VOID_WORDS = """
    void ignore ignored unlabeled unlabelled unknown dontcare don't-care nolabel no-label
"""
_VOID = {*_VOID_WORDS.split(), "don't care", "dont care", "no label", "no class"}
_HEX = re.compile(r"#([0-9A-Fa-f]{6})")
_HEADING_WORDS = """
    name names class classes label r g b red green blue id value color pixel label_name
    class_name index colour
"""
_HEADING = {*_HEADING_WORDS.split(), "pixel value"}
# What means no class where nothing else is said; the second, where the first is a class.
USUAL_VOID = 255
MOST_NUMBER = DEEP_VOID = 65_535


@dataclass
class Named:
    """Classes as their file has them."""

    file: Path
    names: list[str] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    """Number in the label maps → class id, or VOID."""
    colours: dict[Colour, int] = field(default_factory=dict)
    """Colour in the label maps → number."""
    implied: bool = False
    """Whether the file gives no colours, and these are those that everybody knows."""
    counted: bool = True
    """Whether the order of the names gives the numbers, since nothing else does."""
    void_declared: bool = False
    """Whether the file itself says what means no class."""
    guessed: bool = False
    """Whether there is no file, and the numbers in the label maps are the names."""

    @property
    def class_list(self) -> ClassList:
        """Names, with the colours that the file gives where it gives one to every class."""
        shown = {self.numbers[number]: colour for colour, number in self.colours.items()}
        if self.names and all(i in shown for i in range(len(self.names))):
            own = tuple(shown[i] for i in range(len(self.names)))
            if len(set(own)) == len(own):
                return ClassList(tuple(self.names), own)
        return with_palette(self.names)


@dataclass(frozen=True)
class Line:
    """What one entry of such a file says."""

    number: int
    """Of the line, from 1."""
    name: str
    value: int | None = None
    """The number in the label maps."""
    colour: Colour | None = None
    void: bool = False


def class_file(root: Path) -> Path | None:
    """The file that names the classes, if there is one."""
    present = {name.casefold(): name for name in names_in(root)}
    return next(
        (root / present[n] for n in FILES if n in present and (root / present[n]).is_file()), None
    )


def read_classes(path: Path) -> Named:
    """Read such a file.

    Raises:
        LayoutError: names that are blank or occur twice, numbers given twice, too many classes.
    """
    lines = list(from_json(path) if path.suffix.lower() == ".json" else from_text(path))
    named = Named(path)
    voids = [line for line in lines if line.void]
    wanted = [line for line in lines if not line.void]
    if len(wanted) > MOST_CLASSES:
        said = f"has {len(wanted)} names; at most {MOST_CLASSES} are supported"
        raise LayoutError(path, said)
    for line in lines:
        if not line.void and not line.name:
            raise LayoutError(path, f"has no class name in line {line.number}")
        if line.value is not None and not 0 <= line.value <= MOST_NUMBER:
            said = (
                f"gives the number {line.value} in line {line.number}: it must be from 0 to "
                f"{MOST_NUMBER}"
            )
            raise LayoutError(path, said)
    named.counted = all(line.value is None for line in wanted)
    named.void_declared = bool(voids)
    for line in voids:
        add_void(named, line)
    free = (n for n in range(10**6) if n not in named.numbers)
    for line in wanted:
        if named.counted:
            if line.name in named.names:
                said = f"has '{printable(line.name)}' twice, again in line {line.number}"
                raise LayoutError(path, said)
            add(named, line, next(free))
        elif line.value is None:
            said = (
                f"gives no number for '{printable(line.name)}' in line {line.number}, but gives "
                "others one"
            )
            raise LayoutError(path, said)
        else:
            add(named, line, line.value)
    named.numbers.setdefault(USUAL_VOID, VOID)
    if len(named.names) > USUAL_VOID:
        named.numbers.setdefault(DEEP_VOID, VOID)
    return named


def add(named: Named, line: Line, number: int) -> None:
    """One class, or one more number of a class that has some."""
    if number in named.numbers:
        raise LayoutError(
            named.file, f"gives the number {number} twice, again in line {line.number}"
        )
    if line.name not in named.names:
        named.names.append(line.name)
    named.numbers[number] = named.names.index(line.name)
    add_colour(named, line, number)


def add_void(named: Named, line: Line) -> None:
    """A number or a colour without a class."""
    if line.value is not None:
        named.numbers[line.value] = VOID
    if line.colour is not None:
        named.numbers.setdefault(USUAL_VOID, VOID)
        add_colour(named, line, USUAL_VOID if line.value is None else line.value)


def add_colour(named: Named, line: Line, number: int) -> None:
    """The colour of a number; LayoutError where another number has it."""
    if line.colour is None:
        return
    if line.colour in named.colours:
        r, g, b = line.colour
        said = f"gives the colour #{r:02x}{g:02x}{b:02x} twice, again in line {line.number}"
        raise LayoutError(named.file, said)
    named.colours[line.colour] = number


# --- text


def from_text(path: Path) -> Iterator[Line]:
    """The lines of a text file or table."""
    rows = list(enumerate(read_lines(path), 1))
    table = path.suffix.lower() == ".csv"
    if rows and table:
        cells = [cell.strip().strip("\"'").casefold() for cell in re.split(r"[,;\t]", rows[0][1])]
        if all(cell in _HEADING for cell in cells if cell):
            rows = rows[1:]
    rows = [(number, text) for number, text in rows if not re.match(r"#(\s|$)", text)]
    if not table:
        for number, text in rows:
            if not text:
                raise LayoutError(path, f"has a blank line {number}, which would shift the classes")
    rows = [(number, text) for number, text in rows if text]
    plain = [text for _, text in rows if not void_only(text)]
    # Only where every line begins with a number is it one: there are classes such as "2 storeys".
    numbered = bool(plain) and all(re.match(r"\d+\s*[\s,:;=]\s*\D", text) for text in plain)
    for number, text in rows:
        line = parsed(number, text, numbered=numbered)
        yield replace(line, name=line.name.strip("\"'")) if table else line


def void_only(text: str) -> re.Match[str] | None:
    """``void 0``, ``ignore: 255`` or ``void #000000``: the line of what has no class."""
    return re.fullmatch(
        r"(void|ignore)\s*[\s:=,]\s*(\d+|#[0-9A-Fa-f]{6}|\d+[\s,]+\d+[\s,]+\d+)",
        text,
        re.IGNORECASE,
    )


def parsed(number: int, text: str, *, numbered: bool) -> Line:
    """One line; ``numbered``: it begins with the class's number."""
    if declared := void_only(text):
        value = declared[2]
        if value.isdecimal():
            return Line(number, declared[1], int(value), void=True)
        return Line(number, declared[1], colour=read_colour(value), void=True)
    rest, colour = cut_colour(text)
    found = re.fullmatch(r"(\d+)\s*[\s,:;=]\s*(\D.*)", rest) if numbered else None
    value = int(found[1]) if found else None
    explicit = value is not None or colour is not None
    # A name by itself is taken to the letter.
    name = (found[2] if found else rest).strip(" ,;:=\t") if explicit else text
    return Line(number, name, value, colour, void=explicit and name.casefold() in _VOID)


def cut_colour(text: str) -> tuple[str, Colour | None]:
    """A line without its colour, and that."""
    if found := _HEX.search(text):
        return (text[: found.start()] + " " + text[found.end() :]).strip(" \t,;:"), read_colour(
            found[0]
        )
    three = r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})"
    for pattern in (rf"^{three}[\s,;:]+(?=\D)", rf"(?<=\D)[\s,;:]*\b{three}[\s,;:]*$"):
        if (found := re.search(pattern, text)) and max(map(int, found.groups())) <= 255:
            rest = (text[: found.start()] + text[found.end() :]).strip(" \t,;:")
            return rest, read_colour(",".join(found.groups()))
    return text, None


def read_colour(text: str) -> Colour:
    """``#804080`` or ``128 64 128``."""
    if text.startswith("#"):
        return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
    red, green, blue = (int(part) for part in re.split(r"[\s,]+", text.strip()))
    return red, green, blue


# --- JSON


def from_json(path: Path) -> Iterator[Line]:
    """``{"7": "road"}``, ``{"road": 7}``, ``["sky", "road"]`` or a list of objects with names."""
    try:
        found: Any = json.loads("\n".join(read_lines(path)))
    except ValueError as error:
        raise LayoutError(path, f"is not valid JSON: {error}") from None
    if isinstance(found, dict):
        inner = next(
            (found[key] for key in ("categories", "classes", "labels") if key in found), None
        )
        found = inner if isinstance(inner, list | dict) else found
    entries = list(found.items()) if isinstance(found, dict) else found
    if not isinstance(entries, list):
        raise LayoutError(path, 'does not name classes: write {"0": "sky", "7": "road"}')
    # Three numbers are a colour, unless some class has another count of them.
    colours = all(isinstance(e, tuple) and json_colour(e[1]) is not None for e in entries)
    for number, entry in enumerate(entries, 1):
        yield from json_lines(path, number, entry, colours=colours)


def json_lines(path: Path, number: int, entry: Any, *, colours: bool) -> Iterable[Line]:
    """One entry; ``void``, and any class, may have several numbers."""
    if isinstance(entry, str):
        return [Line(number, entry)]
    if isinstance(entry, dict):
        name = entry.get("name", entry.get("label"))
        value = entry.get("id", entry.get("value"))
        colour = entry.get("color", entry.get("colour"))
        if isinstance(name, str) and (value is None or isinstance(value, int)):
            rgb = json_colour(colour)
            void = name.casefold() in _VOID and (value is not None or rgb is not None)
            return [Line(number, name, value, rgb, void)]
    elif isinstance(entry, tuple):
        key, value = entry
        if isinstance(value, str) and key.strip().isdecimal():
            return [Line(number, value, int(key), void=value.casefold() in _VOID)]
        void = key.casefold() in _VOID
        if colours or isinstance(value, str):
            if (rgb := json_colour(value)) is not None:
                return [Line(number, key, None, rgb, void)]
        else:
            values = value if isinstance(value, list) else [value]
            if values and all(isinstance(v, int) and not isinstance(v, bool) for v in values):
                return [Line(number, key, v, void=void) for v in values]
    raise LayoutError(path, f'has an entry {number} without a class name: write "7": "road"')


def json_colour(value: Any) -> Colour | None:
    """``[128, 64, 128]`` or ``"#804080"``."""
    if isinstance(value, str) and _HEX.fullmatch(value):
        return read_colour(value)
    if isinstance(value, list) and len(value) == 3 and all(is_byte(v) for v in value):
        return value[0], value[1], value[2]
    return None


def is_byte(value: object) -> bool:
    """Whether a colour's channel can be this."""
    return type(value) is int and 0 <= value <= 255
