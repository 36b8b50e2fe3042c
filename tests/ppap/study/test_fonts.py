"""Names in any script: fonts that have their characters, and what is done where none has."""

from __future__ import annotations

import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib import font_manager
from matplotlib.font_manager import fontManager

from ppap.study import figures, fonts
from ppap.study.figures import draw, unwritable
from ppap.study.fonts import USUAL, fonts_for, runs, without_invisible, writable
from tests.conftest import ROOT
from tests.support.small_font import forget, installed, make_font

NAMES = ["하늘", "road", "$5 and \\bill$", "سماء", "Straße"]


@pytest.fixture(autouse=True)
def only_what_comes_with_matplotlib(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever this machine has is not there."""
    own = [one for one in fontManager.ttflist if "mpl-data" in one.fname]
    monkeypatch.setattr(fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", list)
    forget()
    yield
    forget()


def study_of(names: list[str]) -> dict[str, Any]:
    """As much of a study as its figure of classes needs."""
    classes = [{"name": name, "precision": 0.5, "positives": 9.0} for name in names]
    curve = [{"first": q, "precision": 0.5, "positives": 9.0} for q in (50, 100)]
    rule = {"rule": "ppap", "matched": False, "classes": classes, "curve": curve}
    return {"rules": [rule]}


def texts(svg: str) -> list[str]:
    return [
        "".join(one.itertext())
        for one in ET.fromstring(svg).iter()
        if one.tag.rpartition("}")[2] == "text"
    ]


def test_what_the_usual_font_has_needs_no_other() -> None:
    assert fonts_for(["road", "Φ⁰ −1", "سماء", "😀", "a\u200db\ufe0f\n"]).families == ()
    assert not fonts_for(["road"]).missing


def test_a_font_that_has_the_characters_is_found(tmp_path: Path) -> None:
    assert fonts_for(["하늘"]).missing == set("하늘")
    with (
        installed(tmp_path / "one.ttf", "Zz Korean", "하늘도로"),
        installed(tmp_path / "two.ttf", "Zy Chinese", "天空"),
    ):
        found = fonts_for(["하늘", "天空", "猫", "road"])
        assert found.families == ("Zy Chinese", "Zz Korean")
        assert found.missing == {"猫"}
        assert found.lacks("猫 a")
        assert not found.lacks("하늘 a")


def test_a_font_that_was_installed_since_matplotlib_looked_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = make_font(tmp_path / "new.ttf", "Zz Korean", "하늘")
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(broken), str(new)])
    assert fonts_for(["하늘"]).families == ("Zz Korean",)


def test_a_font_of_boxes_is_none(tmp_path: Path) -> None:
    with installed(tmp_path / "boxes.ttf", "Last Resort Test", "하늘"):
        assert fonts_for(["하늘"]).families == ()


def test_lines_in_one_font_each(tmp_path: Path) -> None:
    with installed(tmp_path / "one.ttf", "Zz Korean", "하늘") as korean:
        usual = fonts_for([""]).files[0]
        assert USUAL.replace(" ", "") in usual.name
        assert list(runs("a 하 늘 b猫")) == [(usual, "a "), (korean, "하 늘 "), (usual, "b猫")]
        assert list(runs("")) == []


def test_lines_without_what_cannot_be_written_say_so() -> None:
    assert writable(["a하늘b", "plain"]) == [
        "a??b",
        "plain",
        "?: a character that no font on the studio's machine has",
    ]
    assert writable(["plain", "Φ\ufe0f"]) == ["plain", "Φ"]
    assert without_invisible("a b\u200d\u202e") == "a b"


def test_the_svg_has_the_names_as_text(tmp_path: Path) -> None:
    with installed(tmp_path / "one.ttf", "Zz Korean", "하늘"), warnings.catch_warnings():
        warnings.simplefilter("error")
        study = study_of(NAMES)
        assert unwritable(study) == ""
        one = draw(study)[-1]
    assert one.name == "classes"
    assert set(NAMES) <= set(texts(one.svg))
    assert "'DejaVu Sans', 'Zz Korean', sans-serif" in one.svg


def test_without_a_font_the_svg_has_the_names_and_the_png_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study, drawn = study_of(NAMES), []
    plain = figures._classes

    def kept(study: Any, names: Any) -> Any:
        drawn.append(list(names))
        return plain(study, names)

    monkeypatch.setattr(figures, "_classes", kept)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = draw(study)[-1]
    assert set(NAMES) <= set(texts(one.svg))
    assert "WW" not in one.svg
    assert drawn[0] == ["class 1", *NAMES[1:]]
    said = unwritable(study)
    assert said.startswith("No font on this machine can display 하늘, so classes.png shows numbers")
    assert "Noto Sans CJK" in said


def test_names_that_are_wide_have_room_in_the_svg() -> None:
    def left(svg: str) -> float:
        """Where the axes begin."""
        places = [
            float(one.attrib["x"])
            for one in ET.fromstring(svg).iter()
            if one.tag.endswith("}text") and "".join(one.itertext()) == long
        ]
        return places[0]

    long = "하늘" * 8
    # As wide as it is high, at 8 points each, set against its right end.
    assert left(draw(study_of([long, "b"]))[-1].svg) >= len(long) * 7.5


def test_many_names_are_told_shortly() -> None:
    said = unwritable(study_of([chr(0xAC00 + i) for i in range(40)]))
    assert said.count(",") < 8
    assert unwritable({"advice": {}}) == ""


def test_neither_numbers_nor_fonts_are_looked_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked() -> Iterator[str]:
        raise AssertionError("there was no need to look")
        yield ""

    monkeypatch.setattr(fonts, "_names", looked)
    assert unwritable(study_of(["road", "Φ"])) == ""


def test_the_command_says_it_once_and_warns_of_nothing(tmp_path: Path) -> None:
    code = f"""
import sys, warnings
import numpy as np
from pathlib import Path
from PIL import Image
from matplotlib import font_manager
font_manager.findSystemFonts = list
own = [one for one in font_manager.fontManager.ttflist if "mpl-data" in one.fname]
font_manager.fontManager.ttflist = own
root = Path({str(tmp_path)!r})
for name in ("images", "labels"):
    (root / "set" / name).mkdir(parents=True)
ids = np.zeros((64, 64), np.uint8)
ids[32:] = 1
for i in range(2):
    pixels = np.random.default_rng(i).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(root / "set/images" / f"{{i}}.png")
    Image.fromarray(ids).save(root / "set/labels" / f"{{i}}.png")
(root / "set/classes.txt").write_text("하늘\\n도로\\n", encoding="utf-8")
warnings.simplefilter("error")
from trainers.study import main
sys.exit(main(["--data", str(root / "set"), "--out", str(root / "out"), "--split=all",
               "--images=2", "--anchors=20", "--size=64", "--no-sweep"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("No font on this machine can display 하늘, 도로") == 1
    assert "하늘" in (tmp_path / "out/classes.svg").read_text(encoding="utf-8")
