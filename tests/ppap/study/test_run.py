"""A whole study on a small labelled folder: its values, files, figures and the command."""

from __future__ import annotations

import base64
import csv
import json
import math
import re
import xml.etree.ElementTree as ET
from html import escape
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.backbones import load_backbone
from ppap.batches import make_batch
from ppap.data import open_dataset
from ppap.evaluation.trust import Trust, trust
from ppap.propagation import propagate, unit
from ppap.settings import SettingError, Settings
from ppap.study import heat
from ppap.study.anchors import anchor_list
from ppap.study.columns import LEAD
from ppap.study.conclusions import conclusions
from ppap.study.dark import in_the_dark
from ppap.study.figures import Drawn, Study, draw
from ppap.study.grid import Axis
from ppap.study.patches import Patches, sample_anchors
from ppap.study.run import Plan, study
from ppap.study.saved import PAGE, VALUES, StudyError, as_page, read_study, write_study
from ppap.study.sweeping import sweep
from ppap.study.tables import as_markdown, tables, with_ranges
from trainers import study as command

PLAN = Plan(
    x=Axis("phi0", (0.3, 0.9)),
    y=Axis("psi0", (0.2, 0.3, 0.4)),
    images=3,
    anchors=30,
    size=64,
)


def striped(made: Path) -> Path:
    """Six images of coloured stripes, with label maps of the stripes."""
    g = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (made / kind).mkdir(parents=True)
    colours = np.array([[220, 60, 40], [40, 160, 70], [50, 80, 220]])
    for index in range(6):
        ids = np.repeat(g.permutation(3), 32)[None].repeat(96, 0)
        noise = g.integers(-30, 30, (96, 96, 3))
        rgb = (colours[ids] + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(rgb).save(made / f"images/{index}.png")
        Image.fromarray(ids.astype(np.uint8)).save(made / f"labels/{index}.png")
    (made / "classes.txt").write_text("red\ngreen\nblue & <grey>\n")
    (made / "train.txt").write_text("\n".join(map(str, range(6))))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return striped(tmp_path_factory.mktemp("data") / "stripes")


@pytest.fixture(scope="module")
def found(folder: Path) -> Study:
    dataset = open_dataset(folder, kind="folder", split="train")
    return study(PLAN, dataset, load_backbone("embedded"))


def test_the_values_are_those_of_the_library(folder: Path, found: Study) -> None:
    dataset = open_dataset(folder, kind="folder", split="train")
    names = [item.name for item in dataset.items]
    chosen = [names.index(name) for name in found["images"]]
    assert len(chosen) == 3
    examples = [dataset.load(i) for i in chosen]
    batch = make_batch(examples, load_backbone("embedded"), size=64)
    assert batch.labels is not None
    anchors = sample_anchors(batch.labels, 30, 0)
    advised = Settings(**found["advice"]["settings"])
    assert found["settings"] == advised.as_dict()
    for row, psi0 in enumerate((0.2, 0.3, 0.4)):
        for column, phi0 in enumerate((0.3, 0.9)):
            cell = found["sweep"]["cells"][row][column]
            settings = Settings(phi0, psi0, *list(advised.as_dict().values())[2:])  # type: ignore[arg-type]
            wanted = sweep(unit(batch.features), anchors, [settings], labels=batch.labels)[0]
            assert cell["settings"] == settings.as_dict()
            assert cell["f1"] == pytest.approx(wanted.f1)
            assert cell["negatives"] == pytest.approx(wanted.negatives)
    assert [rule["rule"] for rule in found["rules"][:2]] == ["ppap", "baseline"]
    best, own = found["proof"]["best"]["f1"], found["proof"]["advised"]["f1"]
    assert best >= own > 0
    Patches(batch.features, batch.labels, 3, anchors)


def test_files_say_what_the_values_say(found: Study, tmp_path: Path) -> None:
    page = write_study(found, tmp_path / "made")
    assert page.name == PAGE
    back = read_study(page.parent)
    figures = back.pop("figures")
    assert back == json.loads(json.dumps(found))
    assert [one["name"] for one in figures] == [
        "advice",
        "trust",
        "classes",
        "same_class",
        "sweep",
    ]
    for one in figures:
        assert ET.parse(page.parent / f"{one['name']}.svg").getroot().tag.endswith("svg")
        with Image.open(page.parent / f"{one['name']}.png") as image:
            assert min(image.size) > 300
    with (page.parent / "sweep.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6
    cells = [cell for row in found["sweep"]["cells"] for cell in row]
    assert [float(row["phi0"]) for row in rows] == [0.3, 0.9] * 3
    assert [float(row["f1"]) for row in rows] == pytest.approx([cell["f1"] for cell in cells])
    with (page.parent / "table6.csv").open() as stream:
        table = list(csv.DictReader(stream))
    assert len(table) == 9
    for row, rule in zip(table, found["rules"], strict=True):
        low, high = rule["sureness"]["precision"]
        assert [float(row["precision_low"]), float(row["precision_high"])] == [low, high]
        assert low <= rule["precision"] <= high
    rival = found["rules"][1]
    against = [f"precision_against_ppap{end}" for end in ("", "_low", "_high")]
    assert [table[0][name] for name in against] == ["", "", ""]
    wanted = [rival["precision"] - found["rules"][0]["precision"]]
    wanted += [-end for end in reversed(rival["sureness"]["behind"])]
    assert [float(table[1][name]) for name in against] == wanted
    with (page.parent / "classes.csv").open() as stream:
        assert {row["class"] for row in csv.DictReader(stream)} <= {"red", "green", "blue & <grey>"}
    assert "http" not in page.read_text().replace("http-equiv", "")


def test_intervals_stand_in_the_tables(found: Study) -> None:
    rule = found["rules"][1]
    low, high = (f"{100 * end:.1f}" for end in rule["sureness"]["precision"])
    cells, below = with_ranges(rule, found)
    assert len(cells) == len(below)
    assert below[1] == f"{low} to {high}"
    better = 100 * (rule["precision"] - found["rules"][0]["precision"])
    assert cells[-1] == f"{better:+.1f}".replace("-", "−")
    low_end, high_end = (-100 * end for end in reversed(rule["sureness"]["behind"]))
    ends = " to ".join(
        f"{end:+.1f}".replace("-", "−") if abs(end) >= 0.05 else "0.0"
        for end in (low_end, high_end)
    )
    assert below[-1] == ends
    assert f"<br><small>{low} to {high}</small>" in as_page(found, [])
    said, _, head, _, _, second, *_ = as_markdown(found).splitlines()
    assert said == conclusions(found)["rules"]
    assert "| Correct positives (precision), % |" in head
    assert second.endswith(f"| {cells[-1]} ({ends}) |")
    # A study of an earlier version has none of it, and can be read all the same.
    old = {
        **{name: value for name, value in found.items() if name not in ("pure", "stages")},
        "rules": [{k: v for k, v in r.items() if k != "sureness"} for r in found["rules"]],
    }
    assert with_ranges(old["rules"][1], old)[1] == [""] * len(cells)
    assert "<small>" not in as_page(old, [])
    assert as_markdown(old).count("\n") == 13
    # No column that says nothing.
    assert LEAD.title in as_page(found, [])
    assert LEAD.title not in as_page(old, []) + as_markdown(old)
    assert dict(tables(old))["table6.csv"].count("\n") == 10


def test_the_study_s_own_settings_are_marked(found: Study) -> None:
    own, sweep = found["settings"], found["sweep"]
    y = {**sweep["y"], "values": [own["psi0"] - 0.1, own["psi0"], own["psi0"] + 0.1]}

    def drawn(first: float) -> Drawn:
        x = {**sweep["x"], "values": [first, first + 0.2]}
        alone = {**found, "advice": None, "rules": [], "stages": []}
        (only,) = draw({**alone, "sweep": {**sweep, "x": x, "y": y}})
        return only

    figure, without = drawn(own["phi0"] - 0.1), drawn(own["phi0"] + 0.1)
    ring = "stroke: #d55e00"
    assert figure.svg.count(ring) > without.svg.count(ring) == 0


@pytest.mark.parametrize(
    ("value", "place"), [(0.2, 0.0), (0.3, 1.0), (0.25, 0.5), (0.45, 1.5), (0.6, 2.0), (0.1, None)]
)
def test_places_between_the_values_of_an_axis(value: float, place: float | None) -> None:
    found = heat._place([0.2, 0.3, 0.6], value)
    assert found == (None if place is None else pytest.approx(place))


def test_strangers_names_are_text_in_the_page(found: Study) -> None:
    about = {**found["dataset"], "title": "<b>mine</b>"}
    rules = [{**found["rules"][0], "title": "<i>rule</i>"}, *found["rules"][1:]]
    page = as_page({**found, "dataset": about, "rules": rules}, [])
    assert "&lt;b&gt;mine&lt;/b&gt;" in page
    assert "&lt;i&gt;rule" in page
    assert "<b>mine" not in page
    assert "<i>rule" not in page


def test_the_same_study_gives_the_same_figures(found: Study) -> None:
    assert [(a.svg, a.png) for a in draw(found)] == [(a.svg, a.png) for a in draw(found)]


def test_figures_on_a_dark_page(found: Study) -> None:
    """Ink turns bright and the ground goes; numbers on coloured cells stay."""
    drawn = draw(found)
    for one in drawn:
        dark = in_the_dark(one.svg)
        assert ET.fromstring(dark).tag.endswith("svg")
        assert "fill: #ffffff" not in dark
        assert not re.search("#222222|#dddddd|#010101", dark)
        assert dark.count("#fefefe") == one.svg.count("#fefefe")
        assert dark.count("#d55e00") == one.svg.count("#d55e00")
        # As earlier versions drew it: black and white of cells cannot be told from ink and ground.
        old = one.svg.replace("Colours for light and dark pages", "")
        assert in_the_dark(old) == old
    # Matplotlib writes no colour for black, so that what is black would stay black.
    assert "fill: #010101" in next(one.svg for one in drawn if one.name == "classes")
    page = as_page(found, drawn)
    assert page.count('media="(prefers-color-scheme: dark)"') == len(drawn)
    assert base64.b64encode(in_the_dark(drawn[0].svg).encode()).decode() in page


def test_anchors_are_where_they_lie(folder: Path, found: Study) -> None:
    dataset = open_dataset(folder, kind="folder", split="train")
    examples = [dataset.load(i) for i in found["indices"][0]]
    batch = make_batch(examples, load_backbone("embedded"), size=64)
    assert batch.labels is not None
    anchors = found["anchors"]
    rows, columns = batch.grids[0]
    patches = [
        (image * rows + row) * columns + column
        for image, row, column in zip(
            anchors["image"], anchors["row"], anchors["column"], strict=True
        )
    ]
    assert patches == sample_anchors(batch.labels, 30, 0).tolist()
    assert anchors["class"] == batch.labels[patches].tolist()
    assert anchors["classes"] == ["red", "green", "blue & <grey>"]
    sets = propagate(batch.features, torch.tensor(patches), **found["settings"])
    wanted = trust(sets.at(sets.steps), torch.tensor(patches), batch.labels)
    assert anchors["positives"] == wanted.positives.tolist()
    assert anchors["precision"] == [
        None if math.isnan(one) else pytest.approx(one) for one in wanted.precision.tolist()
    ]
    # More than a page can hold are thinned evenly.
    labels = torch.zeros(10_000, dtype=torch.int64)
    many = torch.arange(10_000)
    each = Trust(*(torch.arange(10_000) for _ in Trust._fields))
    thin = anchor_list(each, many, labels, [(100, 100)], ["all"])
    assert thin["positives"] == list(range(0, 10_000, 5))
    assert (thin["row"][21], thin["column"][21]) == (1, 5)


def test_cells_can_be_found_in_the_picture(found: Study, tmp_path: Path) -> None:
    drawn = draw(found)[-1]
    (tmp_path / "sweep.png").write_bytes(drawn.png)
    with Image.open(tmp_path / "sweep.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    height, width = pixels.shape[:2]
    assert len(drawn.boxes) == 4
    box = drawn.boxes[2]  # |P|: columns differ, rows do not
    corners = []
    for column in range(2):
        x = int((box.left + (column + 0.1) / 2 * box.width) * width)
        column_of = [
            pixels[int((box.top + (row + 0.1) / 3 * box.height) * height), x] for row in range(3)
        ]
        assert (np.ptp(column_of, axis=0) == 0).all()
        corners.append(column_of[0])
    # More positives are brighter, and Φ⁰ 0.3 gives more than 0.9.
    assert corners[0].sum() > corners[1].sum()


def test_without_labels_only_sizes(folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for file in (folder / "images").iterdir():
        (plain / file.name).write_bytes(file.read_bytes())
    dataset = open_dataset(plain, kind="images")
    found = study(PLAN, dataset, load_backbone("embedded"))
    assert not found["labelled"]
    assert found["rules"] == []
    assert found["proof"] is None
    cell = found["sweep"]["cells"][0][0]
    assert cell["f1"] is None
    assert cell["positives"] > 0
    assert [one.name for one in draw(found)] == ["advice", "sweep"]
    write_study(found, tmp_path / "made")
    assert not (tmp_path / "made" / "table6.csv").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"images": 0}, "images must be a whole number from 1"),
        ({"anchors": 1.5}, "anchors must be a whole number"),
        ({"x": None}, "two axes, or none"),
    ],
)
def test_a_plan_says_what_is_wrong(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        Plan(**changes)  # type: ignore[arg-type]


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="does not contain a readable study"):
        read_study(tmp_path)
    (tmp_path / VALUES).write_text('{"format": 99}')
    with pytest.raises(StudyError, match="another version"):
        read_study(tmp_path)


def test_what_was_left_out_is_said_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = striped(tmp_path / "some <b>broken</b>")
    file = data / "images/2.png"
    file.write_bytes(file.read_bytes()[:-300])
    (data / "labels/stray.png").write_bytes((data / "labels/1.png").read_bytes())
    words = [f"--data={data}", f"--out={tmp_path / 'made'}", "--images=6", "--anchors=20"]
    assert command.main([*words, "--size=64", "--no-sweep", "--own-settings"]) == 0
    made = read_study(tmp_path / "made")
    assert made["images"] == ["0", "1", "3", "4", "5"]
    assert made["indices"] == [[0, 1, 3, 4, 5]]
    left = next(note for note in made["notes"] if note.startswith("Left out:"))
    assert str(file) in left
    assert any("stray" in note for note in made["notes"])  # what the loader says of the folder
    said = capsys.readouterr().err.splitlines()
    assert set(made["notes"]) <= set(said)
    page = (tmp_path / "made" / PAGE).read_text()
    assert f"<li>{escape(left)}</li>" in page
    del made["notes"]  # as studies of earlier versions are
    assert "Notes</h2>" not in as_page(made, [])


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "--data",
        str(folder),
        "--out",
        str(tmp_path / "made"),
        "--size",
        "64",
        "--images",
        "3",
    ]
    words += ["--anchors", "30", "--x", "phi0=0.5,0.6", "--y", "psi0=0.2:0.4:3"]
    assert command.main(words) == 0
    said = capsys.readouterr()
    assert "| PPAP (Φ⁰" in said.out
    assert "Sweeping: " in said.err
    made = read_study(tmp_path / "made")
    assert made["sweep"]["x"]["values"] == [0.5, 0.6]
    assert made["plan"]["advised"]
    capsys.readouterr()
    assert command.main(words) == 2
    assert "already contains a study" in capsys.readouterr().err
    words.append("--overwrite")
    assert (tmp_path / "made" / "sweep.svg").exists()
    assert command.main([*words, "--no-sweep", "--own-settings", "--set", "phi0=0.6"]) == 0
    made = read_study(tmp_path / "made")
    assert made["sweep"] is None
    assert made["settings"]["phi0"] == 0.6
    assert len(made["rules"]) == 5
    # Nothing of the first study stays beside the second.
    assert not list((tmp_path / "made").glob("sweep.*"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--x", "phi=1,2"], "no setting called 'phi'"),
        (["--x", "phi0"], "Write an axis as"),
        (["--x", "phi0=a:b:c"], "Write an axis as"),
        (["--x", "phi0=0.1:9:3"], "Φ⁰ must be a number from -1 to 1"),
        (["--x", "steps=1,2"], "both are T"),
        (["--set", "phi0=nan"], "Φ⁰ must be a number from -1 to 1, not nan"),
        (["--set", "rho=1"], "--set takes phi0"),
        (["--kind", "nonsense"], "nonsense"),
        (["--kind", "samples", "--split", "banana"], "have no splits"),
        (["--backbone", "nothing"], "nothing"),
        (["--split", "nowhere"], "nowhere"),
    ],
)
def test_the_command_says_what_is_wrong(
    folder: Path, tmp_path: Path, words: list[str], sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "made"
    given = ["--data", str(folder), "--out", str(out), "--size", "64", "--images", "3", *words]
    assert command.main(given) == 2
    assert sentence in capsys.readouterr().err
    assert not out.exists()
