from __future__ import annotations

import threading

from ppap.studio.explore.device import Device
from tests.support.small_studio import wait_until


def test_one_at_a_time() -> None:
    device = Device()
    order: list[str] = []
    with device:
        other = threading.Thread(target=lambda: take(device, order, "other"))
        other.start()
        wait_until(lambda: device._waiting == 1)
        order.append("first")
    other.join()
    assert order == ["first", "other"]


def test_clicks_go_before_what_came_earlier_and_can_wait() -> None:
    device = Device()
    order: list[str] = []
    background = threading.Thread(target=lambda: take(device, order, "background", behind=True))
    click = threading.Thread(target=lambda: take(device, order, "click"))
    with device:
        background.start()
        wait_until(lambda: len(device._turn._waiters) == 1)  # type: ignore[attr-defined]
        click.start()
        wait_until(lambda: device._waiting == 1)
    background.join()
    click.join()
    assert order == ["click", "background"]


def test_nothing_begins_behind_a_click_that_is_answered() -> None:
    device = Device()
    order: list[str] = []
    background = threading.Thread(target=lambda: take(device, order, "background", behind=True))
    with device.first():
        background.start()
        wait_until(lambda: len(device._turn._waiters) == 1)  # type: ignore[attr-defined]
        take(device, order, "click")
        order.append("answered")
    background.join()
    assert order == ["click", "answered", "background"]


def test_it_is_free_again_after_a_fault() -> None:
    device = Device()
    for behind in (False, True):
        try:
            with device.behind() if behind else device:
                raise ValueError
        except ValueError:
            pass
    with device:
        pass


def take(device: Device, order: list[str], name: str, *, behind: bool = False) -> None:
    with device.behind() if behind else device:
        order.append(name)
