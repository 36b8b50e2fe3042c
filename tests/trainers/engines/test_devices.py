"""Which devices a run asks for and gets; the GPUs are made up."""

from __future__ import annotations

import pytest

from ppap.settings import SettingError
from trainers.config import Config
from trainers.engines import devices
from trainers.engines.devices import Share, given, visible, wanted
from trainers.runs.launch import GIVEN


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four GPUs, of which the second is too old."""
    monkeypatch.setattr(devices, "gpus", lambda: [f"cuda:{n}" for n in range(4)])
    monkeypatch.setattr(devices, "automatic", lambda: "cuda")
    monkeypatch.setattr(
        devices, "why_unfit", lambda gpu: "cuda:1 is too old." if gpu == "cuda:1" else None
    )
    for name in (GIVEN, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


FIT = ("cuda:0", "cuda:2", "cuda:3")


@pytest.mark.parametrize(
    ("asked", "share"),
    [
        ("2", Share(2, FIT)),
        ("3", Share(3, FIT)),
        ("all", Share(3, FIT)),
        ("3,0", Share(2, ("cuda:3", "cuda:0"))),
    ],
)
def test_gpus_that_can_be_used(four_gpus: None, asked: str, share: Share) -> None:
    assert wanted(Config(devices=asked, batch=12)) == share
    assert share.title == f"{share.count} GPUs"
    assert share.needed == share.count


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("4", "devices=4, but there are 3 GPUs here that can be used"),
        ("0,1", "cuda:1 is too old."),
        ("0,7", "There is no cuda:7 here; available: cuda:0, cuda:1, cuda:2, cuda:3."),
    ],
)
def test_others_are_refused(four_gpus: None, asked: str, said: str) -> None:
    with pytest.raises(SettingError, match=said) as found:
        wanted(Config(devices=asked, batch=12))
    assert found.value.field == "devices"


def test_a_batch_must_divide(four_gpus: None) -> None:
    with pytest.raises(SettingError, match=r"64 does not divide among 3.*devices=2, or batch=66"):
        wanted(Config(devices="3", batch=64))


def test_processes_on_a_cpu_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    share = wanted(Config(device="cpu", devices="4"))
    assert share == Share(4, ("cpu",))
    assert (share.needed, share.title, given(share)) == (1, "cpu", ("cpu",) * 4)
    assert visible(given(share)) == {}
    monkeypatch.setattr(devices, "automatic", lambda: "cpu")
    assert wanted(Config(devices="all")) == Share(1, ("cpu",))
    with pytest.raises(SettingError, match="There is no GPU here for devices=0,2"):
        wanted(Config(devices="0,2"))


def test_the_queues_gift_comes_first(four_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    share = wanted(Config(devices="2"))
    assert given(share) == ("cuda:0", "cuda:2")
    monkeypatch.setenv(GIVEN, "cuda:3,cuda:2")
    assert given(share) == ("cuda:3", "cuda:2")
    for nonsense in ("cuda:3", "cuda:3,cuda:9", "cuda:1,cuda:2"):
        monkeypatch.setenv(GIVEN, nonsense)
        assert given(share) == ("cuda:0", "cuda:2")


def test_each_process_sees_only_its_runs_gpus(
    four_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert visible(("cuda:3", "cuda:0")) == {"CUDA_VISIBLE_DEVICES": "3,0"}
    # What is seen here may itself be a part: the numbers are those of the machine.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    assert visible(("cuda:3", "cuda:0")) == {"CUDA_VISIBLE_DEVICES": "7,4"}
