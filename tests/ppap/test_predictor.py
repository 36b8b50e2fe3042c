"""Pictures of all kinds and sizes, against the segmenter itself and the CRF itself."""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import ppap
from ppap.checkpoints.opening import load_segmenter
from ppap.data import ImageError, fitting
from ppap.data.fitting import answered, at_size, ramp, seen_whole, windows_of, work_size
from ppap.evaluation.crf import CrfPool, smooth
from ppap.evaluation.pamr import pamr
from ppap.predictor import Predictor
from ppap.segmenter import Segmenter
from ppap.segmenter.inference import Inference
from tests.support.small_segmenters import NAMES, save_small, small_segmenter

SIZE, PATCH = 64, 16


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return small_segmenter(extra_clusters=1)


@pytest.fixture
def file(segmenter: Segmenter, tmp_path: Path, small_backbone: None) -> Path:
    path = tmp_path / "run/checkpoints/last.pt"
    save_small(segmenter, path, SIZE)
    return path


@pytest.fixture
def small_backbone(segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints on the small ViT, whose weights are random, find them again."""
    monkeypatch.setattr(
        "ppap.checkpoints.opening.load_backbone", lambda *a, **k: segmenter.backbone
    )


@pytest.fixture
def predictor(file: Path) -> Predictor:
    return Predictor(file)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Coloured blobs, so that predictions vary."""
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 256, (max(1, height // 9), max(1, width // 9), 3), np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def test_a_square_of_the_right_size_is_what_the_segmenter_says(
    predictor: Predictor, segmenter: Segmenter
) -> None:
    rgb = picture(SIZE, SIZE)
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
    wanted = segmenter.predict(image, log_probabilities=True)
    found = predictor.segment(rgb, probabilities=True)
    assert np.array_equal(found.clusters, wanted.clusters[0])
    assert np.array_equal(found.classes, wanted.classes[0])
    assert len(np.unique(found.classes)) > 1
    assert len(np.unique(found.clusters)) > 1
    assert wanted.cluster_log_probabilities is not None
    assert wanted.class_log_probabilities is not None
    assert found.cluster_probabilities is not None
    assert found.class_probabilities is not None
    assert np.allclose(found.cluster_probabilities, wanted.cluster_log_probabilities[0].exp())
    assert np.allclose(found.class_probabilities, wanted.class_log_probabilities[0].exp())
    plain = predictor.segment(rgb)
    assert np.array_equal(plain.classes, found.classes)
    assert np.array_equal(plain.clusters, found.clusters)
    assert plain.class_probabilities is None
    assert found.names == NAMES
    assert len(found.colours) == 3


def test_with_a_crf_it_is_what_the_crf_says(predictor: Predictor, segmenter: Segmenter) -> None:
    rgb = picture(SIZE, SIZE)
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
    said = segmenter.predict(image, log_probabilities=True)
    assert said.cluster_log_probabilities is not None
    assert said.class_log_probabilities is not None
    found = predictor.segment(rgb, crf=True, probabilities=True)
    wanted = smooth(rgb, said.cluster_log_probabilities[0])
    assert np.array_equal(found.clusters, wanted.argmax(0))
    assert found.cluster_probabilities is not None
    assert np.allclose(found.cluster_probabilities, wanted, atol=1e-6)
    assert np.array_equal(found.classes, smooth(rgb, said.class_log_probabilities[0]).argmax(0))
    plain = predictor.segment(rgb)
    assert not np.array_equal(plain.classes, found.classes)


def test_crf_by_default_and_with_a_pool(file: Path, predictor: Predictor) -> None:
    rgb = picture(100, 70)
    wanted = predictor.segment(rgb, crf=True)
    with CrfPool(2) as pool:
        eager = Predictor(file, crf=True, pool=pool)
        found = eager.segment(rgb)
        assert np.array_equal(found.classes, wanted.classes)
        assert np.array_equal(found.clusters, wanted.clusters)
        plain = eager.segment(rgb, crf=False)
    assert np.array_equal(plain.classes, predictor.segment(rgb).classes)
    assert not np.array_equal(plain.classes, wanted.classes)


@pytest.mark.parametrize(
    "size",
    [(1, 1), (1, 300), (300, 1), (5, 7), (47, 203), (203, 47), (64, 65), (129, 64), (3, 2000)],
)
@pytest.mark.parametrize("crf", [False, True])
def test_odd_sizes(predictor: Predictor, size: tuple[int, int], crf: bool) -> None:
    found = predictor.segment(picture(*size), crf=crf, probabilities=True)
    for map_, count in ((found.clusters, 4), (found.classes, 3)):
        assert map_.shape == size
        assert map_.dtype == np.int64
        assert map_.min() >= 0
        assert map_.max() < count
    assert found.cluster_probabilities is not None
    assert found.cluster_probabilities.shape == (4, *size)
    assert found.cluster_probabilities.dtype == np.float32
    assert np.allclose(found.cluster_probabilities.sum(0), 1, atol=1e-4)
    assert np.array_equal(found.cluster_probabilities.argmax(0), found.clusters)


def test_nothing_is_cut_off_and_proportions_stay(
    predictor: Predictor, segmenter: Segmenter
) -> None:
    """A picture of 1.5 squares is seen whole: what the segmenter says of all of it, enlarged."""
    rgb = picture(2 * SIZE, 3 * SIZE)
    small = np.array(Image.fromarray(rgb).resize((96, 64), Image.Resampling.BICUBIC))
    features = segmenter.features(torch.from_numpy(small).permute(2, 0, 1)[None] / 255)
    logits = segmenter.linear_probe.logits(features)
    wanted = F.interpolate(logits, (2 * SIZE, 3 * SIZE), mode="bilinear").argmax(1)[0]
    assert np.array_equal(predictor.segment(rgb).classes, wanted)


def test_long_pictures_go_through_windows(segmenter: Segmenter) -> None:
    long, tall = picture(SIZE, 5 * SIZE), picture(5 * SIZE, SIZE)
    for rgb in (long, tall):
        image = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
        axis = 2 if rgb is tall else 3
        shape = [1, rgb.shape[0] // PATCH, rgb.shape[1] // PATCH, segmenter.backbone.dim]
        total, weights = torch.zeros(shape), torch.zeros(shape)
        for start in range(4):  # windows of 8 patches, every 4, over 20
            part = image.narrow(axis, start * 4 * PATCH, 8 * PATCH)
            weight = torch.tensor([1.0, 2, 3, 4, 4, 3, 2, 1])
            weight = weight.view([-1 if d == axis - 1 else 1 for d in range(4)])
            total.narrow(axis - 1, start * 4, 8).add_(weight * segmenter.features(part))
            weights.narrow(axis - 1, start * 4, 8).add_(weight)
        features = total / weights
        found = seen_whole(segmenter.features, rgb, patch=PATCH, size=SIZE)
        assert torch.allclose(found, features, atol=1e-5)
        whole = segmenter.features(image)
        assert not torch.allclose(features, whole, atol=1e-3)


def test_large_pictures_repeat_the_nearest_answer(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rgb = picture(200, 300)
    whole = predictor.segment(rgb)
    monkeypatch.setattr(fitting, "MOST_PIXELS", 100 * 150)
    for crf in (False, True):
        found = predictor.segment(rgb, crf=crf)
        assert found.classes.shape == (200, 300)
        blocks = found.classes.reshape(100, 2, 150, 2)
        assert (blocks == blocks[:, :1, :, :1]).all()
    assert (predictor.segment(rgb).classes == whole.classes).mean() > 0.97


def test_probabilities_that_would_not_fit(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppap.predictor.PROBABILITY_BYTES", 7 * 4 * 50 * 50 - 1)
    predictor.segment(picture(50, 50))
    with pytest.raises(ValueError, match="probabilities of 50×50 pixels would take"):
        predictor.segment(picture(50, 50), probabilities=True)


def as_png(rgb: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "PNG")
    return stream.getvalue()


KINDS: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "array that cannot be written": lambda rgb, folder: np.frombuffer(
        rgb.tobytes(), np.uint8
    ).reshape(rgb.shape),
    "array that lies backwards": lambda rgb, folder: rgb[::-1, ::-1].copy()[::-1, ::-1],
    "RGBA": lambda rgb, folder: np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]),
    "Pillow": lambda rgb, folder: Image.fromarray(rgb),
    "bytes": lambda rgb, folder: as_png(rgb),
    "path": lambda rgb, folder: written(rgb, folder),
    "text": lambda rgb, folder: str(written(rgb, folder)),
}


def written(rgb: np.ndarray, folder: Path) -> Path:
    file = folder / "picture.png"
    file.write_bytes(as_png(rgb))
    return file


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(SIZE, SIZE), (50, 80)])
def test_kinds_of_pictures(
    predictor: Predictor, tmp_path: Path, kind: str, size: tuple[int, int]
) -> None:
    rgb = picture(*size)
    wanted = predictor.segment(rgb)
    found = predictor.segment(KINDS[kind](rgb, tmp_path))
    assert np.array_equal(found.classes, wanted.classes)
    assert np.array_equal(found.clusters, wanted.clusters)


def test_grey_and_transparent(predictor: Predictor) -> None:
    grey = picture(50, 80)[..., 0]
    wanted = predictor.segment(np.dstack([grey] * 3)).classes
    assert np.array_equal(predictor.segment(grey).classes, wanted)
    assert np.array_equal(predictor.segment(Image.fromarray(grey)).classes, wanted)
    clear = np.zeros((50, 80, 4), np.uint8)
    white = predictor.segment(np.full((50, 80, 3), 255, np.uint8))
    assert np.array_equal(predictor.segment(clear).classes, white.classes)


def test_the_given_array_stays_as_it_is(predictor: Predictor) -> None:
    rgb = picture(SIZE, SIZE)
    before = rgb.copy()
    predictor.segment(rgb, crf=True)
    assert np.array_equal(rgb, before)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 4, 3)), TypeError, "array of float64; it must be uint8"),
        (np.zeros((4, 4, 2), np.uint8), ValueError, r"not \(4, 4, 2\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), ValueError, r"not \(1, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), ImageError, "has no pixels"),
        (np.broadcast_to(np.uint8(0), (9000, 9000, 3)), ImageError, "at most 64 million"),
        (torch.zeros(3, 4, 4), TypeError, "not Tensor"),
        (b"no picture", ImageError, "not an image"),
        (Path("/nowhere/a.png"), ImageError, "does not exist"),
    ],
)
def test_what_is_no_picture(
    predictor: Predictor, image: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        predictor.segment(image)


def report(digest: str, cluster: object, crf: object = None) -> str:
    return json.dumps(
        {
            "digest": digest,
            "cluster": {"assignment": cluster},
            "crf": {"cluster": {"assignment": crf}} if crf else None,
        }
    )


@pytest.mark.parametrize("where", ["report.json", "../report.json"])
def test_the_assignment_is_read_from_the_report(file: Path, where: str) -> None:
    digest = load_segmenter(file).digest
    (file.parent / where).write_text(report(digest, [2, -1, 0, 1], [1, 2, 0, -1]))
    predictor = Predictor(file)
    rgb = picture(80, 50)
    found, smoothed = predictor.segment(rgb), predictor.segment(rgb, crf=True)
    assert found.assignment == (2, -1, 0, 1)
    assert np.array_equal(found.matched, np.array([2, -1, 0, 1])[found.clusters])
    assert smoothed.assignment == (1, 2, 0, -1)
    assert Predictor(file, assignment=[0, 1, 2, 0]).segment(rgb).assignment == (0, 1, 2, 0)


def test_without_a_crf_in_the_report(file: Path) -> None:
    digest = load_segmenter(file).digest
    (file.parent / "report.json").write_text(report(digest, [2, -1, 0, 1]))
    assert Predictor(file).segment(picture(9, 9), crf=True).assignment == (2, -1, 0, 1)


@pytest.mark.parametrize(
    "text",
    [
        report("another", [2, -1, 0, 1]),
        "{",
        "[]",
        report("own", [2, -1, 0]),
        report("own", [2, -1, 0, 3]),
        report("own", [2, -1, 0, True]),
        report("own", "2101"),
        '{"digest": "own", "cluster": 5}',
    ],
)
def test_other_reports_are_passed_over(file: Path, text: str) -> None:
    own = load_segmenter(file).digest
    (file.parent / "report.json").write_text(text.replace('"own"', f'"{own}"'))
    found = Predictor(file).segment(picture(9, 9))
    assert found.assignment is None
    with pytest.raises(ValueError, match="have not been matched with classes"):
        _ = found.matched


def test_a_wrong_assignment(file: Path) -> None:
    with pytest.raises(ValueError, match="assignment must be 4 classes from 0 to 2"):
        Predictor(file, assignment=[0, 1, 2])


def test_what_is_loaded_already(file: Path, predictor: Predictor) -> None:
    again = Predictor(load_segmenter(file))
    rgb = picture(40, 50)
    assert np.array_equal(again.segment(rgb).classes, predictor.segment(rgb).classes)


def test_it_is_exported() -> None:
    assert ppap.Predictor is Predictor


sides = st.integers(1, 5000)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(sides, sides, st.sampled_from([8, 14, 16]), st.integers(4, 30))
def test_the_size_of_work(height: int, width: int, patch: int, patches: int) -> None:
    size = patch * patches
    work = work_size(height, width, size, patch)
    short, long = sorted(work)
    assert short >= patch
    assert short % patch == long % patch == 0
    assert short <= size
    assert long <= 16 * size
    assert (work.height >= work.width) == (height >= width) or work.height == work.width
    if max(height, width) <= 16 * min(height, width):
        assert short == size
        assert abs(long - size * max(height, width) / min(height, width)) <= patch / 2


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 700), st.integers(2, 80))
def test_windows_cover_everything_and_overlap(length: int, longest: int) -> None:
    spans = windows_of(length, longest)
    assert spans[0].start == 0
    assert spans[-1].stop == length
    assert all(stop - start == min(longest, length) for start, stop in spans)
    for one, other in itertools.pairwise(spans):
        assert one.start < other.start
        assert other.start - one.start <= longest / 2 + 1


def test_ramp() -> None:
    assert ramp(5).tolist() == [1, 2, 3, 2, 1]
    assert ramp(4).tolist() == [1, 2, 2, 1]
    assert ramp(1).tolist() == [1]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 10**5), st.integers(1, 600))
def test_answers_are_bounded(height: int, width: int) -> None:
    rows, columns = answered(height, width)
    assert 1 <= rows <= height
    assert 1 <= columns <= width
    assert rows * columns <= fitting.MOST_PIXELS


def test_nearest_answers() -> None:
    ids = torch.tensor([[0, 1, 2], [3, 4, 5]])
    assert at_size(ids, 4, 3).tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]]
    assert at_size(ids, 1, 3).tolist() == [[3, 4, 5]]
    assert at_size(ids, 2, 1).tolist() == [[1], [4]]


def test_pamr_refines_without_the_crfs_package(
    file: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    rgb = picture(SIZE, SIZE)
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None] / 255
    said = segmenter.predict(image, log_probabilities=True)
    assert said.class_log_probabilities is not None
    wanted = pamr(rgb, said.class_log_probabilities[0])
    found = Predictor(file, refine="pamr").segment(rgb, probabilities=True)
    assert np.array_equal(found.classes, wanted.argmax(0))
    assert found.class_probabilities is not None
    assert np.allclose(found.class_probabilities, wanted, atol=1e-6)
    other = Predictor(file).segment(rgb, refine="pamr")
    assert np.array_equal(other.classes, found.classes)
    plain = Predictor(file, refine="pamr").segment(rgb, refine="none")
    assert not np.array_equal(plain.classes, found.classes)


def test_another_size_and_more_than_one_look(file: Path, segmenter: Segmenter) -> None:
    rgb = picture(SIZE, SIZE)
    larger = Predictor(file, size=2 * SIZE + 3)
    assert larger.size == 2 * SIZE
    work = np.array(Image.fromarray(rgb).resize((2 * SIZE, 2 * SIZE), Image.Resampling.BICUBIC))
    image = torch.from_numpy(work).permute(2, 0, 1)[None] / 255
    said = segmenter.predict(image, (SIZE, SIZE))
    assert np.array_equal(larger.segment(rgb).classes, said.classes[0])
    mirror = Predictor(file, inference=Inference(mirror=True))
    turned = mirror.segment(np.ascontiguousarray(rgb[:, ::-1]))
    assert (turned.classes[:, ::-1] == mirror.segment(rgb).classes).mean() > 0.99


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"refine": "dcrf"}, "refine must be one of none, pamr, crf"),
        ({"refine": "pamr", "crf": True}, "contradict"),
        ({"size": 0}, "size"),
        ({"inference": Inference(window=100)}, "multiple of the patch size"),
    ],
)
def test_switches_that_cannot_be_are_refused(file: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Predictor(file, **given)
