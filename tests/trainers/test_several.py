"""Several devices as they are asked for."""

from __future__ import annotations

import pytest

from ppap.settings import SettingError
from trainers.config import Config
from trainers.several import Asked, read_devices


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("1", Asked(1)),
        ("4", Asked(4)),
        ("all", Asked(0)),
        ("0,2", Asked(2, (0, 2))),
        ("cuda:3, cuda:1", Asked(2, (3, 1))),
    ],
)
def test_a_number_all_or_a_list(text: str, asked: Asked) -> None:
    assert read_devices(text) == asked
    assert asked.several is (text != "1")


@pytest.mark.parametrize("text", ["", "0", "-1", "65", "two", "1,1", "0,", "cpu,cpu", "²", "1;rm"])
def test_anything_else_is_refused_at_its_field(text: str) -> None:
    with pytest.raises(
        SettingError, match="a number from 1 to 64, all, or different GPUs"
    ) as found:
        Config(devices=text)
    assert found.value.field == "devices"


def test_one_device_is_not_several() -> None:
    with pytest.raises(SettingError, match=r"device=cuda:1 is a single device.*use device=cuda"):
        Config(device="cuda:1", devices="2")
    with pytest.raises(SettingError, match=r"devices=0,2 names GPUs, but device=cpu is not"):
        Config(device="cpu", devices="0,2")
    assert Config(device="cpu", devices="2").devices == "2"
    assert Config(device="cuda", devices="0,2").devices == "0,2"
