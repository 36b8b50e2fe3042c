"""Batches go from process to process without shared memory, and come out as they went in."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ppap.backbones import Grid, TrunkOutput
from tests.conftest import ROOT
from tests.support.small_studio import draw
from trainers.training import loading
from trainers.training.loading import TrainingBatch, load
from trainers.training.packing import Packed, numbers_of

SCRIPT = """
import sys
from pathlib import Path
from ppap.data import open_dataset
from trainers.training.loading import DecodedSource, load
data = open_dataset(Path(sys.argv[1]), kind="images")
source = DecodedSource(data, 320, labelled=False)
got = load(source, [[0, 1, 2, 3]] * 4, workers=2)
print(*(int(batch.inputs.sum()) for batch in got))
"""


def tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple):
        return [one for part in value for one in tensors_in(part)]
    return []


def sent(batch: Any) -> Any:
    """To another process and back."""
    packed = Packed(batch)
    assert tensors_in(packed.batch) == []
    return pickle.loads(pickle.dumps(packed)).unpacked()


@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(24, dtype=torch.uint8).reshape(2, 3, 4),
        torch.arange(2 * 5 * 7 * 3, dtype=torch.uint8).reshape(2, 5, 7, 3).permute(0, 3, 1, 2),
        torch.rand(3, 1, 4).permute(2, 0, 1),
        torch.rand(4, 6)[:, ::2],
        torch.tensor([-1, 0, 918, 32767]),
        torch.tensor([-32768]),
        torch.tensor([32768, -1]),
        torch.tensor([-32769]),
        torch.tensor([2**62]),
        torch.zeros(0, 3, dtype=torch.int64),
        torch.tensor(7),
        torch.rand(2, 3).half(),
        torch.tensor([True, False]),
    ],
    ids=lambda t: f"{t.dtype}-{tuple(t.shape)}-{tuple(t.stride())}",
)
def test_tensors_come_out_as_they_went_in(tensor: Tensor) -> None:
    back = sent(TrainingBatch(tensor, None, None, torch.tensor([0]))).inputs
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)
    if tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes():
        # As they lie in memory: what is computed from them differs in its last bits otherwise.
        assert back.stride() == tensor.stride()


def test_a_batch_keeps_its_kind() -> None:
    trunk = TrunkOutput(torch.rand(2, 4, 6), None, Grid(2, 2))
    batch = TrainingBatch(trunk, torch.rand(2, 2, 2, 6), None, torch.tensor([3, 1]), ("a broken",))
    back = sent(batch)
    assert isinstance(back, TrainingBatch)
    assert isinstance(back.inputs, TrunkOutput)
    assert (back.inputs.grid, back.labels, back.skipped) == (Grid(2, 2), None, ("a broken",))
    assert torch.equal(back.inputs.tokens, trunk.tokens)
    assert torch.equal(back.indices, batch.indices)


def test_label_maps_travel_small() -> None:
    labels = torch.randint(-1, 919, (2, 8, 8))
    assert numbers_of(labels).array.nbytes == labels.nbytes // 4


def pictures(folder: Path) -> Path:
    for seed in range(4):
        draw(folder / f"{seed}.png", seed, 320)
    return folder


def can_unshare() -> bool:
    try:
        command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/dev/shm"]
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.mark.skipif(not can_unshare(), reason="/dev/shm cannot be made small here")
@pytest.mark.parametrize("size", ["64k", "1m"])
def test_a_small_shared_memory_is_enough(size: str, tmp_path: Path) -> None:
    words = f'mount -t tmpfs -o size={size} none /dev/shm && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", words, "-", sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        [*command, str(pictures(tmp_path))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 4
    assert len(set(done.stdout.split())) == 1


class Counted:
    """A source that knows where it is read."""

    def __len__(self) -> int:
        return 8

    def batch(self, indices: Any) -> TrainingBatch:
        return TrainingBatch(torch.tensor(indices), None, None, torch.tensor(indices))


def test_without_any_other_process_it_reads_by_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    began = loading.DataLoader.__iter__

    def refused(self: Any) -> Any:
        if self.num_workers:
            raise OSError(28, "No space left on device")
        return began(self)

    monkeypatch.setattr(loading.DataLoader, "__iter__", refused)
    loading.tell_alone.cache_clear()
    for _ in range(2):
        got = [batch.indices.tolist() for batch in load(Counted(), [[0, 1], [2, 3]], workers=2)]
        assert got == [[0, 1], [2, 3]]
    (said,) = [record.getMessage() for record in caplog.records]
    assert "(No space left on device), so this process reads them itself" in said
