"""Lines read by columns are what ``json`` reads in them, whatever they hold."""

from __future__ import annotations

import json
import math
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trainers.runs import lines
from trainers.runs.lines import LARGEST, LARGEST_STEP, MOST_NAMES, parse
from trainers.runs.table import Table

NAMES = ("loss", "lr", "precision", "a longer name of a number", "split", "n")


def by_json(data: bytes) -> dict[str, tuple[list[int], dict[str, bytes]]]:
    """What is in whole lines, read one by one: steps, and columns bit by bit."""
    rows: dict[str, list[dict[str, Any]]] = {"step": [], "validation": []}
    for line in data.split(b"\n")[:-1]:
        try:
            record = json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            continue
        if not isinstance(record, dict) or type(record.get("step")) is not int:
            continue
        if record.get("kind") in ("step", "validation") and 0 <= record["step"] <= LARGEST_STEP:
            rows[record["kind"]].append(record)
    found = {}
    for kind, records in rows.items():
        names = dict.fromkeys(name for record in records for name in record)
        columns = {n: array("f", [number(record.get(n)) for record in records]) for n in names}
        kept = {
            name: column.tobytes()
            for name, column in columns.items()
            if name not in ("kind", "step", "split") and len(name) <= 100 and name.isprintable()
            if not all(map(math.isnan, column))
        }
        if records:
            found[kind] = ([record["step"] for record in records], kept)
    return found


def number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        return float(value) if abs(value) <= LARGEST else math.nan
    except OverflowError:
        return math.nan


def by_columns(data: bytes) -> dict[str, tuple[list[int], dict[str, bytes]]]:
    found = {}
    for kind, rows in parse(data).items():
        columns = {n: c.tobytes() for n, c in rows.columns.items() if np.isfinite(c).any()}
        found[kind] = (rows.steps.tolist(), columns)
    return found


def same(data: bytes) -> None:
    assert by_columns(data) == by_json(data)


def line(step: object, kind: Any = "step", **numbers: object) -> bytes:
    return (json.dumps({"kind": kind, "step": step, **numbers}) + "\n").encode()


# Numbers as a person, a program or a disk error may leave them in a line.
TOKENS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(0, 1000).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.decimals(-1000, 1000, places=5).map(str),
    st.from_regex(r"-?[0-9]{0,12}\.?[0-9]{0,22}([eE][+-]?[0-9]{0,4})?", fullmatch=True),
    st.sampled_from(["null", "true", "NaN", "-Infinity", "1e400", "[1]", '{"step": 1}', '"ü"', ""]),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(TOKENS, min_size=1, max_size=40), st.lists(st.binary(max_size=30), max_size=3))
# In the middle between two neighbours in half precision, and a hair beside it.
@example(["16777217", "1.00000005960464477540", "1.00000005960464477539"], [])
@example(["0.00000000000000000000123456789", "1.17549435e-38", "1e-46", "3.5e38"], [])
@example(["01", "1.", ".5", "+1", "-", "-0", "-0.0", "1_0", "0x1", " 1", "1 "], [])
def test_every_number_is_what_json_reads(tokens: list[str], odd: list[bytes]) -> None:
    text = b"".join(
        f'{{"kind": "step", "step": {step}, "loss": {token}, "n": {step}.5}}\n'.encode()
        for step, token in enumerate(tokens * 20)
    )
    cut = len(text) // 3
    same(text)
    same(text[:cut] + b"\n".join(odd) + text[cut:])  # torn and damaged
    same(text[cut : 2 * cut])


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_lines_of_many_kinds_keep_their_order(data: st.DataObject) -> None:
    shapes = data.draw(
        st.lists(
            st.tuples(st.sampled_from(["step", "validation", "other"]), st.permutations(NAMES)),
            min_size=1,
            max_size=6,
        )
    )
    order = data.draw(st.lists(st.integers(0, len(shapes) - 1), max_size=120))
    text = b""
    for step, which in enumerate(order):
        kind, names = shapes[which]
        text += line(step // 2, kind, **dict.fromkeys(names[: 1 + which], step / 7))
    same(text)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b'"loss"', b'"lass"', 1),
        lambda text: text.replace(b'"loss"', b'"lr"'),
        lambda text: text.replace(b'"loss"', b'"kind"'),
        lambda text: text.replace(b'"loss"', b'"step"'),
        lambda text: text.replace(b'"loss": ', b'"loss":'),
        lambda text: text.replace(b'"loss": ', b'"loss" :'),
        lambda text: text.replace(b'"kind": "step"', b'"kind": "stop"'),
        lambda text: text.replace(b'"step": 4', b'"step": 4.0'),
        lambda text: text.replace(b'"step": 4', b'"step": -4'),
        lambda text: text.replace(b'"step": 4', b'"step": 99999999994'),
        lambda text: text.replace(b'"step": 4', b'"step": 9999999999999999994'),
        lambda text: text.replace(b'"step": 4', b'"step": null'),
        lambda text: text.replace(b"}\n", b"}\r\n"),
        lambda text: text.replace(b"}\n", b"} {}\n"),
        lambda text: text.replace(b"}\n", b"]\n"),
        lambda text: text.replace(b"}\n", b"}", 5),
        lambda text: text.replace(b'"loss"', '"Verlust, größer"'.encode()),
        lambda text: text.replace(b'"loss"', b'"lo:ss"'),
        lambda text: text.replace(b'"loss"', b'"l\xffss"'),
        lambda text: text.replace(b'"loss"', b'"' + b"x" * 3000 + b'"'),
        lambda text: text.replace(b'"loss"', b'"l\\u006fss"'),
        lambda text: bytes(100) + text + bytes(100),
        lambda text: b"\n\n" + text + b"{" * 2000 + b"\n",
        lambda text: text[:-9],
        lambda text: b"",
        lambda text: b"\n",
        lambda text: b"no end",
    ],
)
def test_lines_that_only_look_regular(damage: Any) -> None:
    text = b"".join(line(step, loss=step / 3, lr=1e-5 * step) for step in range(90))
    same(damage(text))
    same(text + damage(text))


def test_lines_across_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PIECE", 700)
    text = b"".join(
        line(step, loss=step / 3) + (line(step, "validation", miou=2.0) if step % 9 == 0 else b"")
        for step in range(300)
    )
    same(text + b"x" * 3000 + b"\n" + text)


def test_regular_lines_do_not_go_through_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "read_line", None)
    numbers: dict[str, float | None] = {
        "loss": 7.808729648590088,
        "lr": 3e-4,
        "n": 499.0,
        "precision": None,
    }
    rows = parse(b"".join(line(step, "step", **numbers) for step in range(200)))["step"]
    assert rows.steps.tolist() == list(range(200))
    assert set(rows.columns["loss"].tolist()) == {float(np.float32(7.808729648590088))}


def test_no_more_names_are_kept_than_anybody_draws() -> None:
    rows = [{f"n{step}_{i}": 1.0 for i in range(90)} for step in range(40)]
    found = parse(b"".join(line(step, **numbers) for step, numbers in enumerate(rows)))["step"]
    assert len(found.columns) == MOST_NAMES
    assert found.steps.tolist() == list(range(40))
    many = b"".join(line(step, **{f"n{i}": 1.0 for i in range(300)}) for step in range(40))
    assert len(parse(many)["step"].columns) == MOST_NAMES
    table = Table()
    for numbers in rows:
        table.add(parse(line(1, **numbers))["step"])
    assert len(table.last()) == MOST_NAMES
    assert table.count == 40
