from __future__ import annotations

import errno
import itertools
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ppap.checkpoints.own import (
    FORMAT,
    Checkpoint,
    CheckpointError,
    content_digest,
    is_checkpoint,
    load_checkpoint,
    save_checkpoint,
    weights_digest,
)
from ppap.segmenter import Trained
from ppap.writing import _umask, writing


def made(value: float = 1.5) -> Checkpoint:
    tensors = {
        "head.weight": torch.full((3, 4), value),
        "head.half": torch.arange(5).to(torch.bfloat16),
        "probe.none": torch.zeros(0, 2),
    }
    return Checkpoint(
        trained=Trained("./vit.pth", "block", 2, 1, tensors),
        backbone_digest="ab" * 32,
        classes=("sky", "Straße"),
        colours=((1, 2, 3), (255, 0, 9)),
        size=320,
        step=12,
        config={"recipe": "camvid", "lr": 0.001, "crf": True, "name": "Straße"},
        training={
            "optimizers": {
                "net": {"state": {0: {"step": torch.tensor(3.0)}}, "betas": (0.9, 0.99)}
            },
            "best": {"score": float("-inf"), "step": 0},
            "pending": False,
        },
    )


def plain(checkpoint: Checkpoint) -> dict[str, Any]:
    return {**vars(checkpoint), "trained": checkpoint.trained._asdict()}


def partials(folder: Path) -> list[Path]:
    return list(folder.glob("**/.*"))


# --- there and back


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "new/folder/step.pt"
    digest = save_checkpoint(made(), file)
    found = load_checkpoint(file)
    assert content_digest(plain(found)) == content_digest(plain(made()))
    assert found.classes == ("sky", "Straße")
    assert found.colours == ((1, 2, 3), (255, 0, 9))
    assert found.config == made().config
    assert found.training is not None
    assert found.training["optimizers"]["net"]["betas"] == (0.9, 0.99)
    assert list(found.training["optimizers"]["net"]["state"]) == [0]
    assert found.trained.tensors["head.half"].dtype == torch.bfloat16
    assert torch.load(file, weights_only=True)["sha256"] == digest
    assert is_checkpoint(file)
    assert partials(tmp_path) == []
    assert file.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_the_result_alone(tmp_path: Path) -> None:
    save_checkpoint(replace(made(), training=None), tmp_path / "a.pt")
    assert load_checkpoint(tmp_path / "a.pt").training is None


# --- the checksum


def test_the_digest_does_not_depend_on_the_order_of_names() -> None:
    names = {"a": 1, "b": {"c": torch.ones(2), 3: None, "3": 2.0}, "d": [1, (2, "x")]}
    orders = itertools.permutations(names.items())
    turned = {**names, "b": dict(reversed(list(names["b"].items())))}  # type: ignore[attr-defined]
    assert len({content_digest(dict(order)) for order in orders} | {content_digest(turned)}) == 1


def test_anything_else_is_another_digest() -> None:
    ones = torch.ones(2, 3)
    contents: list[dict[Any, Any]] = [
        {},
        {"a": 1},
        {"b": 1},
        {"a": "1"},
        {"a": 1.0},
        {"a": True},
        {"a": None},
        {1: "a"},
        {"1": "a"},
        {"a": [1]},
        {"a": [1, 2]},
        {"a": [2, 1]},
        {"a": [[1], 2]},
        {"a": {"a": 1}},
        {"a": ones},
        {"a": ones.T.contiguous()},
        {"a": ones.double()},
        {"a": ones.int()},
        {"a": ones + torch.finfo(torch.float32).eps},
        {"a": ones.flatten()},
        {"a": torch.zeros(0)},
        {"a": torch.zeros(0, 1)},
        {"a": torch.tensor(1.0)},
        {"a": b"1"},
    ]
    digests = [content_digest(content) for content in contents]
    assert len(set(digests)) == len(digests)
    assert content_digest({"a": ones.T.contiguous().T}) == content_digest({"a": ones})
    assert content_digest({"a": nn.Parameter(ones)}) == content_digest({"a": ones})


def test_the_same_weights_have_the_same_digest() -> None:
    torch.manual_seed(0)
    one, other = nn.Linear(3, 2), nn.Linear(3, 2)
    assert weights_digest(one) != weights_digest(other)
    other.load_state_dict(one.state_dict())
    assert weights_digest(one) == weights_digest(other)
    norm = nn.BatchNorm1d(2)
    before = weights_digest(norm)
    norm(torch.rand(4, 2))  # its buffers changed
    assert weights_digest(norm) != before


def test_a_damaged_byte_is_found_out(tmp_path: Path) -> None:
    file, broken = tmp_path / "a.pt", tmp_path / "broken.pt"
    save_checkpoint(made(0.7310585), file)
    whole = file.read_bytes()
    at = whole.index(torch.full((3, 4), 0.7310585).numpy().tobytes())
    broken.write_bytes(whole[: at + 5] + bytes([whole[at + 5] ^ 1]) + whole[at + 6 :])
    with pytest.raises(CheckpointError, match=r"broken\.pt is damaged: .* older checkpoint"):
        load_checkpoint(broken)
    # Wherever it is: the file is refused, or nothing in it is another.
    chance = random.Random(0)
    good = content_digest(plain(load_checkpoint(file)))
    refused = 0
    for place in chance.sample(range(len(whole)), 150):
        flipped = whole[place] ^ (1 << chance.randrange(8))
        broken.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
        try:
            assert content_digest(plain(load_checkpoint(broken))) == good
        except CheckpointError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_part_of_a_file_is_refused(tmp_path: Path, share: float) -> None:
    file = tmp_path / "a.pt"
    save_checkpoint(made(), file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match=r"a\.pt cannot be read as a checkpoint"):
        load_checkpoint(file)
    with pytest.raises(CheckpointError):
        is_checkpoint(file)


# --- other files


def test_other_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    with pytest.raises(CheckpointError, match=r"a\.pt cannot be opened"):
        load_checkpoint(file)
    file.write_text("no checkpoint")
    with pytest.raises(CheckpointError, match=r"a\.pt cannot be read as a checkpoint"):
        load_checkpoint(file)
    torch.save({"weight": torch.ones(2)}, file)
    with pytest.raises(CheckpointError, match=r"^a\.pt is not a checkpoint of PPAP Studio$"):
        load_checkpoint(file)
    assert not is_checkpoint(file)
    torch.save([1, 2], file)
    with pytest.raises(CheckpointError, match="contains a list"):
        load_checkpoint(file)
    torch.save({"format": FORMAT, "version": 2}, file)
    with pytest.raises(CheckpointError, match=r"version 2 of the format; .* reads version 1"):
        load_checkpoint(file)


# --- whole or not at all


def half_written(error: Exception) -> Callable[..., None]:
    """Like torch.save, but fails half way."""

    def save(content: object, file: Path) -> None:
        file.write_bytes(b"half a checkpoint")
        raise error

    return save


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FULL, r"a\.pt cannot be written: No space left on device"),
        (RuntimeError("[enforce fail] unexpected pos 64\nat 0"), r"a\.pt cannot be written.*full"),
    ],
)
def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    file = tmp_path / "a.pt"
    save_checkpoint(made(1), file)
    before = file.read_bytes()
    monkeypatch.setattr(torch, "save", half_written(error))
    with pytest.raises(CheckpointError, match=said) as found:
        save_checkpoint(made(2), file)
    assert "\n" not in str(found.value)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.pt"]  # noqa: PTH208


def test_whatever_happens_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.pt"
    monkeypatch.setattr(torch, "save", half_written(KeyboardInterrupt()))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(made(), file)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"a\.pt cannot be written: (Not a dir|File exists)"):
        save_checkpoint(made(), tmp_path / "file/a.pt")


def test_it_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"  # noqa: PTH112
        done.append(f"sync {kind}")
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    with writing(tmp_path / "a.txt") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "a.txt").exists()
        assert partial.name.startswith(".")
        assert done == []
    assert done == ["sync file", "rename", "sync folder"]
    assert (tmp_path / "a.txt").read_text() == "whole"
