"""Tags and notes of runs: what may be in them, and a file that anybody may have edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ppap.settings import SettingError
from trainers.runs.notes import (
    FILE,
    LONGEST_NOTE,
    MOST_TAGS,
    Notes,
    add_tags,
    changed,
    checked_notes,
    read_notes,
    write_notes,
)


def test_tags_are_words_once_each_and_a_note_is_text() -> None:
    raw: dict[str, Any] = {
        "tags": ["base-line", "Größe", "k=v"[:1], "BASE-LINE"],
        "note": " one\r\ntwo\t3 \n",
    }
    assert checked_notes(raw) == Notes(("base-line", "Größe", "k"), "one\ntwo\t3")
    assert checked_notes({}) == Notes()
    assert checked_notes({"tags": None, "note": None}) == Notes()


@pytest.mark.parametrize(
    "note", ["👩\u200d💻 10:00\u202fAM", "5\u00a0%", "क्\u200dष", "שלום\u200f!", "\U000fffff"]
)
def test_a_note_is_in_any_script(note: str) -> None:
    assert checked_notes({"note": note}).note == note


def test_ends_of_lines_are_ends_of_lines() -> None:
    assert checked_notes({"note": "a\vb\u2028c\x85d\r\ne"}).note == "a\nb\nc\nd\ne"


def test_tags_are_in_any_script_and_one_however_they_are_encoded() -> None:
    raw = {"tags": ["हिन्दी", "e\u0301tude", "\u00e9tude", "ÉTUDE"]}
    assert checked_notes(raw).tags == ("हिन्दी", "étude")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tags", "baseline"),
        ("tags", [1]),
        ("tags", [""]),
        ("tags", ["two words"]),
        ("tags", ["a,b"]),
        ("tags", ["<b>"]),
        ("tags", ["-first"]),
        ("tags", ["x" * 41]),
        ("tags", ["a\n"]),
        ("tags", ["\ud800"]),
        ("tags", ["\u0301a"]),
        ("tags", ["a\u202e"]),
        ("tags", [f"t{i}" for i in range(MOST_TAGS + 1)]),
        ("note", 5),
        ("note", "x" * (LONGEST_NOTE + 1)),
        ("note", "a\0b"),
        ("note", "a\ud800"),
        ("note", "a\x1b[31m"),
        ("note", "a\u202eb"),
    ],
)
def test_everything_else_is_refused_at_its_field(field: str, value: Any) -> None:
    with pytest.raises(SettingError) as refused:
        checked_notes({field: value})
    assert refused.value.field == field
    assert str(refused.value).endswith(".")
    str(refused.value).encode()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    notes = Notes(("a", "b"), "Größer.\nZwei")
    assert changed(tmp_path, notes)
    write_notes(tmp_path, notes)
    assert read_notes(tmp_path) == notes
    assert not changed(tmp_path, notes)
    write_notes(tmp_path, Notes())
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("content", ["{", "[]", '{"tags": ["a b"], "note": 5}', '{"tags": 7}'])
def test_a_damaged_file_says_nothing_and_is_kept_when_it_is_written(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / FILE).write_text(content)
    assert read_notes(tmp_path) == Notes()
    write_notes(tmp_path, Notes(("new",)))
    assert read_notes(tmp_path) == Notes(("new",))
    assert (tmp_path / "notes.damaged-1.json").read_text() == content


def test_tags_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    add_tags(tmp_path, [])
    assert list(tmp_path.iterdir()) == []
    write_notes(tmp_path, Notes(("a",), "text"))
    add_tags(tmp_path, ["b", "A"])
    assert read_notes(tmp_path) == Notes(("a", "b"), "text")
    with pytest.raises(SettingError):
        add_tags(tmp_path, [f"t{i}" for i in range(MOST_TAGS)])
    assert read_notes(tmp_path) == Notes(("a", "b"), "text")
