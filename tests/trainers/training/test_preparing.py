"""What a run says of itself before its first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.small_runs import SIZE, Place
from trainers import train
from trainers.progress import Progress, heard
from trainers.runs.folder import Run
from trainers.runs.standing import Standing, stage_of, standing
from trainers.training import session


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Standing]:
    """Where a run stood whenever it had said so."""
    monkeypatch.setattr(session, "TELLING_SECONDS", 0.0)
    found: list[Standing] = []
    write = Run.write_state

    def write_state(run: Run, state: Any, **facts: Any) -> None:
        write(run, state, **facts)
        found.append(standing(run.folder))

    monkeypatch.setattr(Run, "write_state", write_state)
    return found


def words(place: Place, *more: str) -> list[str]:
    small = [f"size={SIZE}", f"eval_size={SIZE}", "batch=2", "workers=0", "max_steps=2"]
    small += ["cache=on", "probe_epochs=0", "crf=false", f"backbone={place.vit}"]
    return [
        "photos", f"--data={place.data}", f"--out={place.root / 'run'}", f"--cache={place.cache}",
        "--no-report", "--set", *small, *more,
    ]  # fmt: skip


def test_how_far_the_cached_features_are(tmp_path: Path, told: list[Standing]) -> None:
    place = Place(tmp_path)
    assert train.main(words(place)) == 0
    caching = [one for one in told if "Caching features" in one.text]
    assert caching
    assert all(one.state == "running" for one in caching)
    assert caching[-1].text.startswith("Preparing. Caching features: 10 of 10 images")
    assert caching[-1].preparing == 1
    looking = [one for one in told if "Checking the files" in one.text]
    assert looking[0].preparing is not None
    assert told.index(looking[0]) < told.index(caching[0])
    # Not beyond its end, nor in the files that stay.
    after = told[told.index(caching[-1]) + 1 :]
    assert after
    assert all(one.preparing is None for one in after)
    assert after[0].text == "Preparing: data, backbone, cached features."
    assert after[-1].state == "finished"
    assert "stage" not in Run(tmp_path / "run").state()


def test_how_far_the_report_is(tmp_path: Path, told: list[Standing]) -> None:
    place = Place(tmp_path)
    assert train.main([word for word in words(place) if word != "--no-report"]) == 0
    reporting = [one for one in told if one.text.startswith("Writing the report.")]
    assert any("Evaluating: 2 of 2 images" in one.text for one in reporting)
    # The bar is that of the steps, all of which are done.
    assert all(one.preparing is None and one.step == one.steps for one in reporting)
    assert told[-1].state == "finished"


def test_a_run_that_goes_on_prepares_anew(tmp_path: Path, told: list[Standing]) -> None:
    place = Place(tmp_path)
    train.main(words(place, "rule=stego", "near_images=2"))
    assert any("STEGO: near images: 10 of 10 images" in one.text for one in told)
    Run(tmp_path / "run").write_state("stopped", step=1, steps=2)
    del told[:]
    words_again = [f"--out={tmp_path / 'run'}", "--resume", f"--cache={place.cache}", "--no-report"]
    assert train.main(words_again) == 0
    again = [one for one in told if one.preparing is not None]
    assert again
    assert all(one.text.startswith("Preparing. ") for one in again)
    assert again[0].steps == 2  # what it was before stays known


@pytest.mark.parametrize(
    "odd",
    [None, 5, "x", [], {}, {"done": "x", "of": 2}, {"done": 1, "of": 0}, {"done": -1, "of": 5},
     {"done": 9, "of": 3}, {"done": 1, "of": 2, "title": 5, "unit": [], "left": "soon"}],
)  # fmt: skip
def test_any_word_on_it(odd: Any) -> None:
    found = stage_of({"state": "running", "stage": odd})
    assert found is None or (0 <= found.share <= 1 and found.text)
    assert stage_of({"state": "stopped", "stage": {"done": 1, "of": 2}}) is None


def test_only_what_is_asked_to_listen_hears() -> None:
    found: list[int] = []
    with heard(lambda progress: found.append(progress.done)), Progress("A", 9, "files") as progress:
        progress.at(3)
        with Progress("B", 9, "files", quiet=True) as quiet:
            quiet.at(4)
    progress.at(5)
    assert found == [3]
