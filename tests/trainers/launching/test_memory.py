"""What is advised where a run does not fit into memory."""

from __future__ import annotations

import re
from typing import Any

import pytest

from trainers.config import Config
from trainers.launching.memory import WORKER_BYTES, Parts, too_much

GIB = 2**30
SMALL = Parts(network=GIB // 10, images=GIB // 10, loss=GIB // 10)


def asked(parts: Parts, free: float, **others: Any) -> str:
    usual: dict[str, Any] = {"count": 1, "on_gpus": False, "free_device": 0, "device": "cpu"}
    return too_much(parts, Config(), free_main=free, **(usual | others))


def test_what_fits_is_fine() -> None:
    needed = SMALL.device + SMALL.main
    assert asked(SMALL, needed) == ""
    assert asked(SMALL, needed - 1) != ""
    assert asked(SMALL, 2 * needed, count=2) == ""
    assert asked(SMALL, 2 * needed - 1, count=2) != ""


@pytest.mark.parametrize(("readers", "count"), [(200, 1), (50, 1), (200, 2)])
def test_too_many_readers_are_answered_with_fewer_that_fit(readers: int, count: int) -> None:
    free = 8 * GIB
    said = asked(SMALL._replace(readers=readers), free, count=count)
    assert f"{readers} processes that read images" in said
    assert "batch" not in said
    found = re.search(r"use workers=(\d+) or fewer", said)
    assert found is not None
    fitting = int(found[1])
    assert asked(SMALL._replace(readers=fitting), free, count=count) == ""
    assert asked(SMALL._replace(readers=fitting + 1), free, count=count) != ""


def test_readers_for_which_there_is_no_room_at_all() -> None:
    rest = SMALL.device + SMALL.main
    assert "use workers=0." in asked(SMALL._replace(readers=64), rest + WORKER_BYTES // 2)


@pytest.mark.parametrize(
    ("change", "words", "others"),
    [
        ({"images": 60 * GIB}, "smaller batch, or smaller images", "workers"),
        ({"loss": 60 * GIB}, "compares patches: use a smaller batch, fewer anchors", "images"),
        ({"network": 60 * GIB}, "smaller backbone", "batch"),
        # Few readers beside a step that is far too large are not what is wrong.
        ({"images": 60 * GIB, "readers": 2}, "smaller batch", "workers"),
        ({"images": 0, "network": 0, "loss": 0}, "Close other programs", "batch"),
    ],
)  # fmt: skip
def test_the_advice_is_about_what_takes_most(
    change: dict[str, int], words: str, others: str
) -> None:
    said = asked(SMALL._replace(**change), GIB // 2)
    assert words in said
    assert others not in said
    assert said.startswith("It needs about ")
    assert "is free on cpu." in said


def test_a_gpus_memory_and_the_machines_are_two_things() -> None:
    many = SMALL._replace(readers=200)
    gpu: dict[str, Any] = {"on_gpus": True, "device": "cuda:0", "free_device": 80 * GIB}
    said = asked(many, 8 * GIB, **gpu)
    assert "free on this machine" in said
    assert "workers=" in said
    assert asked(many, 80 * GIB, **gpu) == ""
    large = many._replace(images=90 * GIB)
    said = asked(large, 8 * GIB, **gpu)
    assert "free on cuda:0. Use a smaller batch" in said
    said = asked(SMALL, GIB, count=8, **gpu)
    assert "Close other programs, or use fewer than 8 processes." in said
