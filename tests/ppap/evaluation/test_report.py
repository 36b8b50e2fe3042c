"""Reports: what is in the JSON, the text and the page, and that nothing in them is markup."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.checkpoints.opening import LoadedSegmenter
from ppap.data import ClassList, Dataset, open_dataset, palette
from ppap.evaluation.cells import per_cent
from ppap.evaluation.crf import CrfPool
from ppap.evaluation.distance_split import DistanceScores
from ppap.evaluation.files import file_name, write_report
from ppap.evaluation.later import later_rows
from ppap.evaluation.markdown import as_markdown, as_summary, table, text
from ppap.evaluation.metrics import Confusion, frequency_groups, scores
from ppap.evaluation.page import as_page
from ppap.evaluation.pictures import UNMATCHED_COLOUR, painted, pictured
from ppap.evaluation.report import Report, build_report, chosen_images, selection_of, write_json
from ppap.evaluation.split import ImageScore, Measures, SplitScores, evaluate_split
from tests.support.small_segmenters import NAMES, small_segmenter, write_folder

SIZE = 48
NASTY = '"><img src=x onerror=alert(1)>|*a*`'


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("data")
    write_folder(root, count=10, unlabelled=1)
    return open_dataset(root, split="all")


@pytest.fixture(scope="module")
def loaded() -> LoadedSegmenter:
    return LoadedSegmenter(
        segmenter=small_segmenter(extra_clusters=1),
        class_list=ClassList(NAMES, palette(3)),
        named=True,
        size=SIZE,
        step=70,
        config={"rule": "ppap", "selection": "last", "seed": 5},
        source="studio",
        digest="d" * 64,
        file=Path("runs/a/checkpoints/last.pt"),
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[CrfPool]:
    with CrfPool(2) as made:
        yield made


@pytest.fixture(scope="module")
def found(loaded: LoadedSegmenter, dataset: Dataset, pool: CrfPool) -> SplitScores:
    return evaluate_split(loaded.segmenter, dataset, size=SIZE, refiners=[pool])


@pytest.fixture(scope="module")
def report(loaded: LoadedSegmenter, dataset: Dataset, found: SplitScores) -> Report:
    return build_report(loaded, dataset, found, size=SIZE, seconds=1.23456)


def without_crf(found: SplitScores) -> SplitScores:
    images = [replace(one, refined={}) for one in found.images]
    return found._replace(refined={}, images=images)


def test_scores_are_where_other_programs_look(report: Report, found: SplitScores) -> None:
    for place, whole in (
        (report["cluster"], found.cluster),
        (report["linear"], found.linear),
        (report["crf"]["cluster"], found.refined["crf"].cluster),
    ):
        assert place["accuracy"] == whole.accuracy
        assert place["miou"] == whole.miou
        assert place["iou"] == whole.iou
        assert list(place["iou"]) == list(NAMES)
        assert place["assignment"] == whole.assignment.tolist()
        assert place["confusion"] == whole.confusion.tolist()
    assert set(report["crf"]) == {"cluster", "linear", "groups"}


def test_what_was_evaluated(report: Report, dataset: Dataset) -> None:
    assert (report["checkpoint"], report["digest"]) == ("runs/a/checkpoints/last.pt", "d" * 64)
    assert (report["step"], report["size"], report["seed"], report["rule"]) == (70, 48, 5, "ppap")
    assert report["dataset"]["split"] == "all"
    assert report["dataset"]["kind"] == "folder"
    assert report["classes"] == list(NAMES)
    assert report["unlabelled"] == 1
    assert report["selection"]["choice"] == "last"
    assert "random weights" in report["backbone"]["title"]
    assert report["seconds"] == 1.2
    assert {"python", "torch", "numpy"} <= set(report["versions"])
    assert "1 of 10 images have no label map and do not count." in report["notes"]


def test_images_and_groups(report: Report, found: SplitScores) -> None:
    assert len(report["images"]) == 9
    one, measured = report["images"][3], found.images[3]
    assert (one["index"], one["name"]) == (3, "p3")
    assert one["cluster"]["accuracy"] == measured.cluster.accuracy
    assert one["crf"]["linear"]["miou"] == measured.refined["crf"].linear.miou
    names = [name for group in report["groups"].values() for name in group["classes"]]
    assert sorted(names) == sorted(NAMES)
    for group in report["groups"].values():
        (name,) = group["classes"]
        assert group["cluster"] == pytest.approx(found.cluster.iou[name])


def test_it_is_json(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "deep/er/report.json"
    write_json(report, file)
    assert json.loads(file.read_text(encoding="utf-8")) == report


def test_without_a_crf_there_is_none(
    loaded: LoadedSegmenter, dataset: Dataset, found: SplitScores
) -> None:
    plain = build_report(loaded, dataset, without_crf(found), size=SIZE)
    assert "crf" not in plain
    assert "crf" not in plain["images"][0]
    assert "CRF" not in as_markdown(plain).replace("(without CRF)", "")
    assert "with CRF" not in as_page(plain, ())


def test_what_was_not_measured_is_null(loaded: LoadedSegmenter, dataset: Dataset) -> None:
    nothing = build_report(loaded, dataset, None, size=SIZE)
    assert nothing["cluster"] is None
    assert as_markdown(nothing).startswith("# Evaluation")
    assert "<h2>Scores" not in as_page(nothing, ())
    empty = Confusion(3)  # every pixel is void
    whole = scores(empty, NAMES)
    assert math.isnan(whole.accuracy)
    unknown = Measures(math.nan, math.nan)
    image = ImageScore(0, "p0", unknown, unknown)
    found = SplitScores(whole, whole, {}, [image], frequency_groups(empty, NAMES))
    made = build_report(loaded, dataset, found, size=SIZE)
    assert made["cluster"]["accuracy"] is None
    assert made["groups"]["few"]["cluster"] is None
    assert made["images"][0]["cluster"] == {"accuracy": None, "miou": None}
    json.dumps(made, allow_nan=False)
    assert "–" in as_summary(made)
    assert "NaN" not in as_page(made, ()) + as_markdown(made)


@pytest.mark.parametrize(
    ("config", "name", "split", "choice", "flatters"),
    [
        ({"selection": "last"}, "reported.pt", "val", "last", False),
        ({"selection": "held_out"}, "reported.pt", "val", "held_out", False),
        ({"selection": "held_out"}, "last.pt", "val", "last", False),
        ({"selection": "evaluation", "eval_split": "val"}, "best.pt", "val", "evaluation", True),
        ({"selection": "evaluation", "eval_split": "val"}, "best.pt", "test", "evaluation", False),
        ({"selection": "evaluation"}, "step-00000120.pt", "val", "named", False),
        ({}, "mine.pt", "val", "named", False),
    ],
)
def test_how_the_checkpoint_was_chosen(
    loaded: LoadedSegmenter,
    dataset: Dataset,
    config: dict[str, Any],
    name: str,
    split: str,
    choice: str,
    flatters: bool,
) -> None:
    made = selection_of(
        replace(loaded, config=config, file=Path(name)), replace(dataset, split=split)
    )
    assert (made.choice, made.flatters) == (choice, flatters)
    assert made.sentence.startswith("Reservation") == flatters
    assert ("inflates every score" in made.sentence) == flatters


def test_published_checkpoints_carry_the_reservation(
    loaded: LoadedSegmenter, dataset: Dataset, found: SplitScores
) -> None:
    published = replace(loaded, source="published", config={}, step=None, named=False)
    made = build_report(published, dataset, found, size=SIZE)
    assert made["rule"] == "ppap"
    assert made["selection"]["flatters"]
    assert made["notes"][0].startswith("Reservation: published runs keep the checkpoint")
    assert any("does not name its classes" in note for note in made["notes"])
    for account in (as_markdown(made), as_summary(made), as_page(made, ())):
        assert "inflates every score" in account


def with_backbone(
    loaded: LoadedSegmenter, monkeypatch: pytest.MonkeyPatch, title: str, note: str
) -> None:
    backbone = loaded.segmenter.backbone
    monkeypatch.setattr(backbone, "info", backbone.info._replace(title=title, note=note))


def test_a_backbone_that_saw_labels(
    loaded: LoadedSegmenter,
    dataset: Dataset,
    found: SplitScores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ppap.backbones.embedded import EMBEDDED

    with_backbone(loaded, monkeypatch, title=EMBEDDED.title, note=EMBEDDED.note)
    made = build_report(loaded, dataset, found, size=SIZE)
    assert any(note.startswith("Warning: the backbone, EfficientNet") for note in made["notes"])
    assert "class=warning" in as_page(made, ())


def test_training_images_and_other_names(
    loaded: LoadedSegmenter, dataset: Dataset, found: SplitScores
) -> None:
    trained = {"train_split": "all", "dataset": "folder"}
    other = replace(loaded, config=trained, class_list=ClassList(("a", "b", "c"), palette(3)))
    told = build_report(other, dataset, found, size=SIZE)["notes"]
    assert any("was trained on this split, 'all'" in note for note in told)
    first = dataset.classes[0]
    assert any(f"differently from last.pt: class 0 is '{first}' here and 'a'" in n for n in told)
    whole = replace(dataset, splits=("all",))
    told = build_report(
        replace(loaded, config={**trained, "train_split": "train"}), whole, found, size=SIZE
    )["notes"]
    assert any("was trained on this split, 'all'" in note for note in told)
    held = {**trained, "train_split": "train"}
    told = build_report(replace(loaded, config=held), dataset, found, size=SIZE)["notes"]
    assert not any("trained on" in note for note in told)


def test_beside_the_paper(
    loaded: LoadedSegmenter,
    dataset: Dataset,
    found: SplitScores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_backbone(loaded, monkeypatch, title="DINO ViT-S/8", note="Self-supervised.")
    coco = replace(dataset, name="cocostuff27")
    made = build_report(loaded, coco, found, size=SIZE)
    assert [row["cluster_miou"] for row in made["paper"]] == [26.6, 27.2]
    for account in (as_summary(made), as_markdown(made)):
        line = next(one for one in account.splitlines() if "Table 1:" in one)
        assert re.findall(r"[\d.]+\b", line.split("|")[1]) == ["1", "8"]
        assert [cell.strip() for cell in line.split("|")[2:6]] == ["59.0", "27.2", "76.9", "46.3"]
        assert "Table 10: PPAP, DINO ViT-S/8, without CRF" in account
    assert "paper, Table 8: PPAP" in as_markdown(made)
    assert "32.9" in as_page(made, ())
    # A number with CRF has no place beside numbers without.
    plain = build_report(loaded, coco, without_crf(found), size=SIZE)
    assert "Table 1:" not in as_summary(plain)
    assert "Table 10:" in as_summary(plain)
    nothing = build_report(loaded, dataset, found, size=SIZE)
    assert "The paper has no row for this" in as_summary(nothing)


def test_distance_matching(
    loaded: LoadedSegmenter, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_backbone(loaded, monkeypatch, title="DINO ViT-S/16", note="")
    names = ("other", *(f"n{i}" for i in range(50)))
    data = replace(dataset, name="imagenet_s", class_list=ClassList(names, palette(51)))
    confusion = Confusion(51)
    confusion.counts[0, 0], confusion.counts[1, 0] = 3, 1
    distance = DistanceScores(scores(confusion, names), 8, 120, False, 10, 0.07, SIZE)
    made = build_report(loaded, data, None, size=SIZE, distance=distance)
    assert made["distance"]["paper"] == 59.3
    assert made["distance"]["miou"] == pytest.approx((75 + 0) / 2)
    assert made["distance"]["iou"]["other"] == 75
    assert made["distance"]["features"] == "tuned"
    assert "mIoU 37.5 % (paper, Table 4: 59.3)" in as_summary(made)
    assert "8 images" in as_summary(made)
    assert "Distance matching" in as_page(made, ())
    frozen = replace(distance, frozen=True)
    assert build_report(loaded, data, None, size=SIZE, distance=frozen)["distance"]["features"] == (
        "frozen"
    )


def test_the_best_the_median_and_the_worst() -> None:
    def of(accuracies: list[float | None], crf: bool = False) -> dict[str, list[int]]:
        images = []
        for i, accuracy in enumerate(accuracies):
            measured = {"cluster": {"accuracy": accuracy}}
            images.append({"index": i, **(measured if not crf else {"crf": measured})})
        made: Report = {"images": images}
        return chosen_images(made | ({"crf": {}} if crf else {}))

    eleven = of([5, 1, 9, 3, 7, 2, 8, 10, 4, 6, 0])
    assert eleven == {"best": [7, 2, 6], "median": [9, 0, 8], "worst": [10, 1, 5]}
    assert of([5, 1, 9, 3, 7, 2, 8, 10, 4, 6, 0], crf=True) == eleven
    assert of([2, 1, 3]) == {"best": [2], "median": [0], "worst": [1]}
    assert of([2, 1]) == {"best": [0], "median": [], "worst": [1]}
    assert of([2]) == {"best": [0], "median": [], "worst": []}
    assert of([None, 4, None]) == {"best": [1], "median": [], "worst": []}
    assert of([]) == {"best": [], "median": [], "worst": []}
    for count in range(1, 25):
        flat = [i for some in of(list(range(count))).values() for i in some]
        assert len(set(flat)) == len(flat)


def test_painted() -> None:
    ids = np.array([[0, 1], [-1, 1]])
    colours = [(1, 2, 3), (4, 5, 6)]
    made = painted(ids, colours, (9, 9, 9))
    assert made.dtype == np.uint8
    assert made.tolist() == [[[1, 2, 3], [4, 5, 6]], [[9, 9, 9], [4, 5, 6]]]


@pytest.mark.parametrize("crf", [False, True])
def test_pictures_show_what_was_scored(
    loaded: LoadedSegmenter,
    dataset: Dataset,
    found: SplitScores,
    pool: CrfPool,
    crf: bool,
) -> None:
    scored = found if crf else without_crf(found)
    made = build_report(loaded, dataset, scored, size=SIZE)
    shown = list(pictured(loaded.segmenter, dataset, made, [pool] if crf else []))
    assert [one.kind for one in shown] == ["best"] * 3 + ["median"] * 3 + ["worst"] * 3
    measured = {one["index"]: one for one in made["images"]}
    for one in shown:
        known = one.truth >= 0
        titles = ["clusters", "linear"] + (["clusters, CRF", "linear, CRF"] if crf else [])
        assert set(one.predictions) == set(titles)
        for title, probe in (("clusters", "cluster"), ("linear", "linear")):
            right = (one.predictions[title] == one.truth)[known].mean()
            assert 100 * right == pytest.approx(measured[one.item][probe]["accuracy"])
            if crf:
                right = (one.predictions[f"{title}, CRF"] == one.truth)[known].mean()
                wanted = measured[one.item]["crf"][probe]["accuracy"]
                assert 100 * right == pytest.approx(wanted)


class Elements(HTMLParser):
    """Which elements a page has, and all of its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def nasty(tmp_path: Path, loaded: LoadedSegmenter) -> tuple[LoadedSegmenter, Dataset]:
    write_folder(tmp_path / NASTY.replace("/", "_"), count=3)
    root = tmp_path / NASTY.replace("/", "_")
    (root / "classes.txt").write_text(f"{NASTY}\nb & c\n'\"</style>\n", encoding="utf-8")
    for file in (root / "images").iterdir():
        file.rename(file.with_name(f"{file.stem}{NASTY}.png"))
    for file in (root / "labels").iterdir():
        file.rename(file.with_name(f"{file.stem}{NASTY}.png"))
    data = open_dataset(root, split="all")
    named = replace(loaded, class_list=data.class_list, file=Path(f"{NASTY}.pt"))
    return named, data


def test_names_are_no_markup(nasty: tuple[LoadedSegmenter, Dataset], tmp_path: Path) -> None:
    named, data = nasty
    found = evaluate_split(named.segmenter, data, size=SIZE)
    made = build_report(named, data, found, size=SIZE)
    page = as_page(made, pictured(named.segmenter, data, made))
    elements = Elements(page)
    images = [attrs for tag, attrs in elements.tags if tag == "img"]
    assert len(images) == 3 * 4
    assert all((attrs["src"] or "").startswith("data:image/") for attrs in images)
    assert not any("onerror" in attrs for _, attrs in elements.tags)
    assert "script" not in {tag for tag, _ in elements.tags}
    shown = "".join(elements.words)
    assert NASTY in shown
    assert "'\"</style>" in shown
    assert "<img" not in as_markdown(made)
    assert "onerror=alert(1)&gt;\\|\\*a\\*\\`" in as_markdown(made)


def test_the_page_stands_alone(
    report: Report, loaded: LoadedSegmenter, dataset: Dataset, pool: CrfPool
) -> None:
    page = as_page(report, pictured(loaded.segmenter, dataset, report, [pool]))
    elements = Elements(page)
    for _, attrs in elements.tags:
        for name in ("src", "href", "srcset"):
            assert (attrs.get(name) or "data:").startswith("data:")
    assert "url(" not in page
    assert "default-src 'none'" in page
    assert [t for t, _ in elements.tags].count("article") == 9
    shown = "".join(elements.words)
    for word in (*NAMES, "Confusion", "IoU by class", "clusters, CRF", "no ground truth"):
        assert word in shown


def test_matrix_cells_are_per_cent_of_the_true_class(report: Report) -> None:
    page = as_page(report, ())
    body = page[page.index("<p>Linear probe</p>") :]
    rows = re.findall(r"<tr><th>(\w+)</th>(.*?)</tr>", body)[:3]
    assert [name for name, _ in rows] == list(NAMES)
    for (_, cells), counts in zip(rows, report["linear"]["confusion"], strict=True):
        shares = [int(share) for share in re.findall(r"--share:(\d+)%", cells)]
        assert shares == [round(100 * count / sum(counts)) for count in counts[:3]]


def test_of_many_classes_there_is_no_matrix(loaded: LoadedSegmenter, dataset: Dataset) -> None:
    names = tuple(f"thing {i}" for i in range(80))
    confusion = Confusion(80)
    confusion.counts += torch.eye(80, dtype=torch.int64)
    whole = scores(confusion, names)
    found = SplitScores(whole, whole, {}, [], frequency_groups(confusion, names))
    data = replace(dataset, class_list=ClassList(names, palette(80)))
    page = as_page(build_report(loaded, data, found, size=SIZE), ())
    assert "--share:" not in page
    assert "A matrix of 80 classes is too large" in page
    assert "<details><summary>All 80 classes" in page


def test_files(
    report: Report, loaded: LoadedSegmenter, dataset: Dataset, pool: CrfPool, tmp_path: Path
) -> None:
    page = write_report(report, tmp_path / "r", pictured(loaded.segmenter, dataset, report, [pool]))
    assert page == tmp_path / "r/report.html"
    names = sorted(file.name for file in page.parent.iterdir())
    assert {"report.html", "report.json", "report.md"} < set(names)
    strips = [name for name in names if name.endswith(".png")]
    assert len(strips) == 9
    best = chosen_images(report)["best"][0]
    with Image.open(page.parent / f"best-1-p{best}.png") as strip:
        assert strip.size == (6 * (SIZE + 4) - 4, SIZE)
    write_report(report, tmp_path / "s", (), strips=False)
    assert sorted(f.name for f in (tmp_path / "s").iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]


def test_names_of_files() -> None:
    assert file_name("day/p 1<é>") == "day_p_1"
    assert file_name("../../etc/passwd") == "etc_passwd"
    assert file_name("...") == "image"
    assert len(file_name("a" * 500)) == 60


def test_unmatched_clusters_have_a_colour_of_their_own(report: Report) -> None:
    assert -1 in report["cluster"]["assignment"]
    assert list(UNMATCHED_COLOUR) not in report["colours"]


def test_tables() -> None:
    made = table(("", "A", "Longer"), [("x", "1.0", "2.0"), ("much longer", "–", "10.0")])
    lines = made.splitlines()
    assert lines[0] == "|             |   A | Longer |"
    assert lines[1] == "| ----------- | --: | -----: |"
    assert lines[3] == "| much longer |   – |   10.0 |"
    assert per_cent(None) == "–"
    assert per_cent(9.96) == "10.0"
    assert text("a|b\nc <d>") == "a\\|b c &lt;d&gt;"


def test_what_was_skipped_is_counted(loaded: LoadedSegmenter, tmp_path: Path) -> None:
    write_folder(tmp_path, count=5, unlabelled=1)
    data = replace(open_dataset(tmp_path, split="all"), on_error="skip")
    labelled_one = next(i for i, item in enumerate(data.items) if item.labels is not None)
    data.items[labelled_one].image.write_text("no picture")
    found = evaluate_split(loaded.segmenter, data, size=SIZE)
    made = build_report(loaded, data, found, size=SIZE)
    (skipped,) = made["skipped"]
    assert (skipped["index"], skipped["name"]) == (labelled_one, data.items[labelled_one].name)
    assert (len(made["images"]), made["unlabelled"]) == (3, 1)
    assert made["notes"][1].startswith(
        f"Warning: 1 of 5 images could not be read and does not count; the first: {tmp_path}"
    )
    assert "1 of 5 images have no label map and do not count." in made["notes"]
    assert "could not be read" in as_summary(made)
    assert "could not be read" in as_page(made, pictured(loaded.segmenter, data, made))


def test_borders_stand_in_every_form(report: Report, found: SplitScores) -> None:
    assert report["borders"] == found.borders
    border = report["borders"]["crf"]["linear"]["border"]
    for written in (as_markdown(report), as_page(report, ())):
        assert "Borders and interiors" in written
        assert "within 5 pixels" in written
        assert "linear probe, CRF" in written
        assert per_cent(border["accuracy"]) in written
    older = {name: value for name, value in report.items() if name != "borders"}
    assert "Borders" not in as_markdown(older) + as_page(older, ())


def test_later_systems_stand_apart_from_the_papers_rows(report: Report) -> None:
    assert report["later"] == []
    assert "Later methods" not in as_markdown(report) + as_page(report, ())
    found = {**report, "later": later_rows("cocostuff27")}
    for written in (as_markdown(found), as_page(found, ())):
        scores, later = written.split("Later methods", 1)
        assert "CAUSE-TR" not in scores
        later = later[: later.index("Borders and interiors")]
        for part in ("CAUSE-TR", "78.0", "45.3", "visinf/primaps", "not a ranking"):
            assert part in later
