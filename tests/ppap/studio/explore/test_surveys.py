from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ppap.settings import Settings
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.explore import surveys as module
from ppap.studio.explore.device import Device
from ppap.studio.explore.surveys import COLUMNS, Survey, Surveys, walk
from ppap.studio.requests import RequestError
from ppap.studio.store import Held
from ppap.study.every_anchor import AnchorTable, every_anchor
from tests.support.small_studio import small_batch, wait_until

SETTINGS = Settings(0.6, 0.3, 3, 4, 2)


@pytest.fixture
def surveys() -> Iterator[Surveys]:
    made = Surveys(Device())
    yield made
    made.close()


def held(images: int = 3) -> Held:
    return Held("key", small_batch(images), {})


def settings(phi0: float) -> Settings:
    return Settings(phi0, 0.3, 3, 4, 2)


def test_it_is_the_table_of_every_anchor() -> None:
    batch = small_batch()
    survey = Survey(batch, SETTINGS)
    assert walk(survey, batch, Device(), lambda: False)
    table = every_anchor(batch.features, SETTINGS, labels=batch.labels)
    shot = survey.shot()
    assert shot.seen.all()
    assert shot.fill.tolist() == list(range(48))
    for name in COLUMNS:
        expected = getattr(table, name).numpy().astype(np.float32)
        np.testing.assert_allclose(shot.values[name], expected, rtol=1e-5, err_msg=name)


def test_it_is_coarse_at_first_and_filled_up(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = small_batch()
    survey = Survey(batch, SETTINGS)
    levels: list[int] = []
    done = survey.complete

    def complete(level: int) -> None:
        done(level)
        shot = survey.shot()
        levels.append(level)
        # One patch of the 4 × 4 of each image, then every second row and column, then all.
        assert shot.seen.sum() == {4: 3, 2: 12, 1: 48}[level]
        assert shot.seen[shot.fill].all()
        assert (shot.fill // 16 == np.arange(48) // 16).all()

    monkeypatch.setattr(survey, "complete", complete)
    assert walk(survey, batch, Device(), lambda: False)
    assert levels == [4, 2, 1]


def test_large_batches_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = small_batch()
    monkeypatch.setattr(module, "MOST_WORK", module.work_of(batch, SETTINGS) * 20)
    survey = Survey(batch, SETTINGS)
    assert (survey.stride, survey.planned) == (2, 12)
    assert walk(survey, batch, Device(), lambda: False)
    assert survey.shot().seen.sum() == 12


def test_parts_are_small_enough_for_a_click(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = small_batch(8)
    monkeypatch.setattr(module, "PART_WORK", module.work_of(batch, SETTINGS) * 20)
    taken: list[int] = []
    survey = Survey(batch, SETTINGS)
    take = survey.take

    def count(part: AnchorTable) -> None:
        taken.append(len(part.anchors))
        take(part)

    monkeypatch.setattr(survey, "take", count)
    assert walk(survey, batch, Device(), lambda: False)
    assert max(taken) == 20
    assert sum(taken) == survey.planned == 128


def test_a_survey_is_made_once_for_all_who_watch(surveys: Surveys) -> None:
    batch = held()
    first = surveys.watched(batch, SETTINGS, "a page")
    assert surveys.watched(batch, SETTINGS, "another page") is first
    wait_until(lambda: surveys.known(batch, SETTINGS) is not None and first.finished)
    assert first.state == "done"
    assert surveys.watched(batch, SETTINGS, "a page") is first
    assert surveys.watched(batch, settings(0.7), "a page") is not first


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Surveys that go no further until the event is set, or they are stopped."""
    going = threading.Event()
    walked = walk

    def wait(survey: Survey, batch: object, device: Device, stopped: Callable[[], bool]) -> bool:
        while not going.wait(0.005):
            if stopped():
                return False
        return walked(survey, batch, device, stopped)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "walk", wait)
    yield going
    going.set()


def test_other_settings_end_the_earlier_survey(surveys: Surveys, stuck: threading.Event) -> None:
    batch = held()
    first = surveys.watched(batch, SETTINGS, "a page")
    wait_until(lambda: first.state == "running")
    second = surveys.watched(batch, settings(0.7), "a page")
    wait_until(lambda: first.state == "cancelled")
    stuck.set()
    wait_until(lambda: second.state == "done")


def test_what_another_page_watches_goes_on(surveys: Surveys, stuck: threading.Event) -> None:
    batch = held()
    first = surveys.watched(batch, SETTINGS, "a page")
    surveys.watched(batch, SETTINGS, "another page")
    surveys.watched(batch, settings(0.7), "a page")
    stuck.set()
    wait_until(lambda: first.state == "done")


def test_a_page_that_is_gone_ends_it(
    surveys: Surveys, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = surveys.watched(held(), SETTINGS, "a page")
    wait_until(lambda: first.state == "running")
    monkeypatch.setattr(module, "FORGOTTEN_SECONDS", 0)
    wait_until(lambda: first.state == "cancelled")


def test_leaving_ends_it_and_coming_back_begins_anew(
    surveys: Surveys, stuck: threading.Event
) -> None:
    batch = held()
    first = surveys.watched(batch, SETTINGS, "a page")
    surveys.leave("a page")
    wait_until(lambda: first.state == "cancelled")
    again = surveys.watched(batch, SETTINGS, "a page")
    assert again is not first
    stuck.set()
    wait_until(lambda: again.state == "done")


def test_only_so_many_are_under_way(
    surveys: Surveys, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNDER_WAY", 3)
    for i in range(3):
        surveys.watched(held(), settings(0.5 + i / 100), f"page {i}")
    with pytest.raises(RequestError, match="Too many pages"):
        surveys.watched(held(), settings(0.9), "page 3")
    # Each page has one: the newest of its own is never refused for its older ones for long.
    assert surveys.watched(held(), settings(0.5), "page 0").state in ("waiting", "running")


def test_few_finished_ones_are_kept(surveys: Surveys, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = held()
    with asking(Visitor(user="ada")):
        for i in range(module.MOST_KEPT + 1):
            survey = surveys.watched(batch, settings(0.5 + i / 100), "a page")
            wait_until(lambda: survey.finished and not surveys._under_way)  # noqa: B023
    assert surveys.known(batch, settings(0.5)) is None
    assert surveys.known(batch, settings(0.51)) is not None


def test_a_fault_is_told(surveys: Surveys, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise MemoryError("no room")

    monkeypatch.setattr(module, "walk", fail)
    survey = surveys.watched(held(), SETTINGS, "a page")
    wait_until(lambda: survey.state == "failed")
    assert isinstance(survey.error, MemoryError)
    with pytest.raises(MemoryError):
        surveys.whole(held(), SETTINGS)


def test_a_script_waits_for_the_whole_and_may_want_less(surveys: Surveys) -> None:
    assert surveys.whole(held(), SETTINGS).shot().seen.all()
    sample = surveys.whole(held(), SETTINGS, stride=3)
    assert np.flatnonzero(sample.shot().seen)[:5].tolist() == [0, 3, 12, 15, 16]
