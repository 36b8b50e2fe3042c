"""The crops as files: where they are, what is in them, and what becomes of unfinished ones."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppap.data import VOID, DataError, Dataset, five_crops, open_dataset, preflight
from ppap.data.crops import part
from tests.support import layouts
from trainers.cache.locks import try_lock
from trainers.cropping import processes
from trainers.cropping.processes import write_all
from trainers.cropping.record import TargetError
from trainers.cropping.writing import Plan, WritingError, begun, plan_crops, target_folder

CROPPABLE = ("cocostuff27", "cityscapes27", "potsdam3", "camvid", "folder")


def write(plan: Plan, workers: int = 1) -> list[int]:
    """Write a plan; bytes by image, in the order they were reported."""
    reported: list[int] = []
    with begun(plan):
        write_all(plan, workers, reported.append)
    return reported


def plan_of(dataset: Dataset, out: Path, of: str | None = None, **options: float) -> Plan:
    of = of or dataset.name
    folder = target_folder(dataset.root, out, of, options.get("ratio", 0.5))
    return plan_crops(dataset, folder, of=of, **options)  # type: ignore[arg-type]


def smooth_camvid(root: Path, images: int = 3, height: int = 41, width: int = 63) -> Dataset:
    """CamVid's layout with pictures that JPEG keeps well, and labels that differ everywhere."""
    for folder in ("train", "trainannot"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:height, :width]
    for number in range(images):
        rgb = np.stack([y * 4, x * 3, x * 0 + 20 * number], -1).astype(np.uint8)
        Image.fromarray(rgb).save(root / f"train/{number}.png")
        labels = ((x + 3 * y + number) % 12).astype(np.uint8)
        Image.fromarray(labels).save(root / f"trainannot/{number}.png")
    return open_dataset(root)


def files(folder: Path) -> dict[str, bytes]:
    """Everything that can be seen below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.parametrize("kind", CROPPABLE)
def test_they_open_again_with_the_same_content(tmp_path: Path, kind: str) -> None:
    layouts.LAYOUTS[kind](tmp_path / "data")
    dataset = open_dataset(tmp_path / "data", kind=kind)
    plan = plan_of(dataset, tmp_path / "out")
    write(plan)
    assert plan.folder.name == f"{kind}_five_crop_0.5"
    crops, cut = open_dataset(tmp_path / "out", kind="five_crops"), five_crops(dataset)
    assert crops.class_list == dataset.class_list
    assert len(crops) == len(cut) == 5 * len(dataset)
    assert crops.notes == ()
    assert preflight(tmp_path / "out", "five_crops") == []
    for index in range(len(cut)):
        one, other = crops.load(index), cut.load(index)
        assert crops.items[index].name == str(index)
        assert one.labels is not None
        expected = np.full_like(one.labels, VOID) if other.labels is None else other.labels
        assert np.array_equal(one.labels, expected)
        difference = one.photo.rgb.astype(int) - other.photo.rgb.astype(int)
        assert np.abs(difference).max() <= 2  # they are flat


def test_more_classes_than_a_byte_tells_apart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in ("images", "labels"):
        (data / folder).mkdir(parents=True)
    ids = np.arange(24 * 30).reshape(24, 30) % 300
    Image.fromarray(np.full((24, 30, 3), 90, np.uint8)).save(data / "images/a.png")
    Image.fromarray(ids.astype(np.uint16)).save(data / "labels/a.png")
    (data / "classes.txt").write_text("".join(f"thing {i}\n" for i in range(300)))
    dataset = open_dataset(data, kind="folder", split="all")
    write(plan_of(dataset, tmp_path / "out"))
    crops, cut = open_dataset(tmp_path / "out", kind="five_crops", split="all"), five_crops(dataset)
    for index in range(5):
        one, other = crops.load(index).labels, cut.load(index).labels
        assert one is not None
        assert other is not None
        assert one.max() > 255
        assert np.array_equal(one, other)


def test_where_and_how_they_are_stored(tmp_path: Path) -> None:
    dataset = smooth_camvid(tmp_path / "data")
    reported = write(plan_of(dataset, tmp_path, quality=100))
    home = tmp_path / "camvid_five_crop_0.5"
    for folder, suffix in (("img", "jpg"), ("label", "png")):
        names = {path.name for path in (home / folder / "train").iterdir()}
        assert names == {f"{n}.{suffix}" for n in range(15)}
    content = files(home)
    record = content.pop("crops_train.json")
    assert sum(reported) == sum(map(len, content.values()))
    assert json.loads(record)["images"] == 3
    for n in range(15):
        image, crop = divmod(n, 5)
        whole = dataset.load(image)
        rows, columns = part(41, 63, crop, 0.5)
        with Image.open(home / f"img/train/{n}.jpg") as picture:
            assert (picture.format, picture.mode) == ("JPEG", "RGB")
            rgb = np.asarray(picture).astype(int)
        assert rgb.shape == (20, 31, 3)
        assert np.abs(rgb - whole.photo.rgb[rows, columns]).max() <= 6
        with Image.open(home / f"label/train/{n}.png") as picture:
            assert (picture.format, picture.mode) == ("PNG", "L")
            stored = np.asarray(picture)
        assert whole.labels is not None
        assert np.array_equal(stored, whole.labels[rows, columns] + 1)
        assert stored.min() == 0


def test_quality_and_ratio(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    layouts.camvid(tmp_path / "data")
    noise = chance.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for path in (tmp_path / "data/train").iterdir():
        path.unlink()
    Image.fromarray(noise).save(tmp_path / "data/train/a.png")
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(tmp_path / "data/trainannot/a.png")
    dataset = open_dataset(tmp_path / "data")
    errors = []
    for quality in (60, 95):
        plan = plan_of(dataset, tmp_path / str(quality), ratio=0.7, quality=quality)
        write(plan)
        assert plan.folder.name == "camvid_five_crop_0.7"
        crop = open_dataset(plan.folder).load(4).photo.rgb
        assert crop.shape == (28, 28, 3)
        errors.append(np.abs(crop.astype(int) - noise[6:34, 6:34]).mean())
    assert errors[1] < errors[0] / 3
    assert errors[1] < 5  # only with colours in full resolution


def test_without_any_labels(tmp_path: Path) -> None:
    layouts.write_image(tmp_path / "data/images/a.png")
    write(plan_of(open_dataset(tmp_path / "data"), tmp_path / "out"))
    assert not (tmp_path / "out/folder_five_crop_0.5/label").exists()
    crops = open_dataset(tmp_path / "out")
    assert (len(crops), crops.classes, crops.load(0).labels) == (5, (), None)
    (tmp_path / "data/images/a.png").rename(tmp_path / "data/images/b.png")
    with pytest.raises(TargetError, match="from different images or label maps"):
        plan_of(open_dataset(tmp_path / "data"), tmp_path / "out")


def test_going_on_writes_what_is_missing_alone(tmp_path: Path) -> None:
    dataset = smooth_camvid(tmp_path / "data", images=4)
    home = plan_of(dataset, tmp_path).folder
    write(plan_of(dataset, tmp_path))
    whole = files(home)
    assert plan_of(dataset, tmp_path).pending == ()
    (home / "img/train/7.jpg").unlink()
    (home / "label/train/16.png").write_bytes(b"")  # as a power cut may leave it
    (home / "img/train/.3.jpg.123.tmp").write_bytes(b"half a fi")
    for path in home.rglob("*.*"):
        os.utime(path, (1, 1))
    plan = plan_of(dataset, tmp_path)
    assert plan.pending == (1, 3)
    assert len(write(plan)) == 2
    assert files(home) == whole
    renewed = {p.name for p in home.rglob("*.*") if p.is_file() and p.stat().st_mtime > 1}
    assert renewed == {"7.jpg", "16.png", "crops_train.json"}
    assert list(home.rglob("*.tmp")) == []


def test_several_processes_write_the_same(tmp_path: Path) -> None:
    dataset = smooth_camvid(tmp_path / "data", images=7)
    alone, together = plan_of(dataset, tmp_path / "1"), plan_of(dataset, tmp_path / "3")
    one, several = write(alone), write(together, workers=3)
    assert sorted(one) == sorted(several)
    assert files(alone.folder) == files(together.folder)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_found_broken_on_the_way(tmp_path: Path, workers: int) -> None:
    dataset = smooth_camvid(tmp_path / "data")
    sound = (tmp_path / "data/train/1.png").read_bytes()
    (tmp_path / "data/train/1.png").write_bytes(sound[:100])
    plan = plan_of(dataset, tmp_path)
    with pytest.raises(DataError, match=r"train/1\.png"):
        write(plan, workers)
    assert not (plan.folder / "img/train/5.jpg").exists()
    (tmp_path / "data/train/1.png").write_bytes(sound)
    write(plan_of(dataset, tmp_path))
    assert plan_of(dataset, tmp_path).pending == ()


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = smooth_camvid(tmp_path / "data")
    plan = plan_of(dataset, tmp_path)
    room = 4
    whole = Path.write_bytes

    def filling(path: Path, data: bytes) -> int:
        nonlocal room
        room -= 1
        if room < 0:
            whole(path, data[:10])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return whole(path, data)

    monkeypatch.setattr(Path, "write_bytes", filling)
    with pytest.raises(WritingError, match=r"The disk is full: .* continues from there"):
        write(plan)
    monkeypatch.undo()
    assert list(plan.folder.rglob("*.tmp")) == []
    written = [path for path in files(plan.folder) if not path.endswith(".json")]
    assert len(written) == 4
    for path in written:
        with Image.open(plan.folder / path) as picture:
            picture.load()
    write(plan_of(dataset, tmp_path))
    assert plan_of(dataset, tmp_path).pending == ()


def test_a_process_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = smooth_camvid(tmp_path / "data")
    monkeypatch.setattr(processes.sys, "executable", "/bin/false")
    with pytest.raises(WritingError, match=r"A process ended .*exit status 1.* fewer --workers"):
        write(plan_of(dataset, tmp_path), workers=2)


def test_nobody_else_may_write_there(tmp_path: Path) -> None:
    dataset = smooth_camvid(tmp_path / "data")
    plan = plan_of(dataset, tmp_path)
    write(plan)
    lock = try_lock(plan.folder / ".crops_train.lock", exclusive=True)
    assert lock is not None
    with pytest.raises(TargetError, match="Another process is writing crops into"):
        write(plan)
    lock.release()
    write(plan)


def fewer(data: Path, home: Path) -> None:
    (data / "images/night/p0.png").unlink()
    (data / "labels/night/p0.png").unlink()


def renamed(data: Path, home: Path) -> None:
    for folder in ("images", "labels"):
        (data / folder / "night/p0.png").rename(data / folder / "night/p00.png")


def unlabelled(data: Path, home: Path) -> None:
    for path in (data / "labels").rglob("*.png"):
        path.unlink()


def other_names(data: Path, home: Path) -> None:
    layouts.write_text(data / "classes.txt", "land", "lake")


def unrecorded(data: Path, home: Path) -> None:
    (home / "crops_all.json").unlink()


def damaged(data: Path, home: Path) -> None:
    (home / "crops_all.json").write_text("[1]")


def strange(data: Path, home: Path) -> None:
    (home / "crops_all.json").write_text("{}")


def other_class_file(data: Path, home: Path) -> None:
    layouts.write_text(home / "classes.txt", "water", "land")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (fewer, "contains crops made of 10 images, not 9: choose another folder"),
        (renamed, "from different images or label maps"),
        (unlabelled, "from images whose label maps were there; now they are missing"),
        (other_names, "with different classes"),
        (unrecorded, r"already contains crops, but not crops_all\.json"),
        (damaged, "which says what the crops were made from, cannot be read"),
        (strange, "contains crops made of 'None', not 'folder'"),
        (other_class_file, r"classes\.txt contains different classes"),
    ],
)
def test_other_crops_are_left_alone(
    tmp_path: Path, change: Callable[[Path, Path], None], told: str
) -> None:
    layouts.folder(tmp_path / "data")
    home = plan_of(open_dataset(tmp_path / "data", split="all"), tmp_path).folder
    write(plan_of(open_dataset(tmp_path / "data", split="all"), tmp_path))
    change(tmp_path / "data", home)
    before = files(home)
    with pytest.raises(TargetError, match=told):
        plan_of(open_dataset(tmp_path / "data", split="all"), tmp_path)
    assert files(home) == before


def test_other_settings_are_refused(tmp_path: Path) -> None:
    dataset = smooth_camvid(tmp_path / "data")
    plan = plan_of(dataset, tmp_path)
    write(plan)
    with pytest.raises(TargetError, match="made with quality 95, not 75"):
        plan_of(dataset, tmp_path, quality=75)
    with pytest.raises(TargetError, match=r"made with ratio 0\.5, not 0\.6"):
        plan_crops(dataset, plan.folder, of="camvid", ratio=0.6)
    with pytest.raises(TargetError, match="made of 'camvid', not 'potsdam'"):
        plan_crops(dataset, plan.folder, of="potsdam")


def test_two_splits_share_a_folder(tmp_path: Path) -> None:
    layouts.folder(tmp_path / "data")
    for split in ("train", "val"):
        write(plan_of(open_dataset(tmp_path / "data", split=split), tmp_path))
    home = tmp_path / "folder_five_crop_0.5"
    assert open_dataset(home).splits == ("train", "val")
    assert len(open_dataset(home)) == 40
    assert len(open_dataset(home, split="val")) == 10


def test_where_the_folder_is_made(tmp_path: Path) -> None:
    name = "camvid_five_crop_0.5"
    assert target_folder(tmp_path, None, "camvid", 0.5) == tmp_path / "cropped" / name
    assert target_folder(tmp_path, tmp_path / "b", "camvid", 0.5) == tmp_path / "b" / name
    assert target_folder(tmp_path, tmp_path / name, "camvid", 0.5) == tmp_path / name
    with pytest.raises(TargetError, match=f"--out: .* is named like other crops: call it {name}"):
        target_folder(tmp_path, tmp_path / "camvid_five_crop_0.7", "camvid", 0.5)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    dataset = smooth_camvid(tmp_path / "data")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(TargetError, match=r"cannot be written: Not a directory"):
        write(plan_of(dataset, tmp_path / "out"))


def test_real_images(shared_data: Path, tmp_path: Path) -> None:
    dataset = open_dataset(shared_data / "cocostuff", kind="cocostuff27")
    write(plan_of(dataset, tmp_path))
    crops, cut = open_dataset(tmp_path), five_crops(dataset)
    assert len(crops) == len(cut) == 65
    for index in range(0, 65, 8):
        one, other = crops.load(index), cut.load(index)
        assert one.labels is not None
        assert other.labels is not None
        assert np.array_equal(one.labels, other.labels)
        error = one.photo.rgb.astype(float) - other.photo.rgb
        assert np.sqrt(np.square(error).mean()) < 3
