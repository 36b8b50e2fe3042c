from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ppap.evaluation.trust import trust
from ppap.propagation import propagate
from ppap.studio import networks
from ppap.studio.explore import trust as module
from ppap.studio.explore.trust import nth, scale
from ppap.study.every_anchor import MEASURES
from tests.ppap.studio.explore.test_server import HOSTILE
from tests.support.small_studio import SmallStudio, load_tiny, small_batch, wait_until

SETTINGS = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}
LABELLED = [key for key, one in MEASURES.items() if one.labels]


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallStudio]:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)
    made = SmallStudio(tmp_path)
    yield made
    made.server.surveys.close()


def added(studio: SmallStudio, **how: Any) -> str:
    return studio.store.add(small_batch(**how), {"source": "samples"}).key


def asked(studio: SmallStudio, **request: Any) -> dict[str, Any]:
    """The page's last answer."""
    request = {"page": "mine", "settings": SETTINGS, **request}
    wait_until(lambda: studio.ask("survey", request).get("finished", True))
    return studio.ask("survey", request)


def values(reply: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(reply["values"]), "<f4")


def brute_force(measure: str) -> list[float]:
    """One anchor after another, by the library."""
    batch, found = small_batch(), []
    for anchor in range(48):
        sets = propagate(batch.features, torch.tensor([anchor]), **SETTINGS)  # type: ignore[arg-type]
        assert batch.labels is not None
        measured = trust(sets, sets.anchors, batch.labels)
        inside = sets.similarity(-1)[0][sets.positive[0]]
        found.append(
            {
                "positives": float(sets.positive.sum()),
                "ambiguous_share": float(sets.ambiguous.sum()) / 47,
                "moved": float(1 - sets.proxies[0, 0] @ sets.proxies[-1, 0]),
                "cohesion": float(inside.mean()) if len(inside) else float("nan"),
                "precision": float(measured.precision[0]),
                "recall": float(measured.recall[0]),
                "false_negatives": float(measured.false_negatives[0]),
            }[measure]
        )
    return found


@pytest.mark.parametrize("measure", MEASURES)
def test_the_overlay_is_a_loop_over_all_anchors(studio: SmallStudio, measure: str) -> None:
    reply = asked(studio, batch=added(studio), measure=measure)
    found = values(reply)
    np.testing.assert_allclose(found, brute_force(measure), rtol=1e-4, atol=1e-6)
    assert reply["text"] == "All 48 patches."
    assert reply["share"] == 1
    known = found[np.isfinite(found)]
    assert reply["low"] <= known.min()
    assert reply["high"] >= known.max()


def test_precision_first_and_cohesion_where_there_are_no_labels(studio: SmallStudio) -> None:
    assert asked(studio, batch=added(studio))["measure"] == "precision"
    bare = added(studio, labelled=False)
    reply = asked(studio, batch=bare)
    assert reply["measure"] == "cohesion"
    assert [one["key"] for one in reply["measures"]] == [k for k in MEASURES if k not in LABELLED]
    for measure in LABELLED:
        refusal = studio.ask("survey", {"batch": bare, "settings": SETTINGS, "measure": measure})
        assert "needs label maps" in refusal["error"]


def test_what_the_page_has_is_not_sent_again(studio: SmallStudio) -> None:
    key = added(studio)
    reply = asked(studio, batch=key)
    again = asked(studio, batch=key, have=reply["version"])
    assert "values" not in again
    assert "values" in asked(studio, batch=key, have=reply["version"], measure="moved")
    assert "values" in asked(studio, batch=key, have=reply["version"], worth={"image": 1})


def test_the_list_comes_with_it(studio: SmallStudio) -> None:
    reply = asked(studio, batch=added(studio), worth={"kind": "moved", "image": 1})
    moved = brute_force("moved")
    first = reply["worth"]["anchors"][0]
    assert first["patch"] == max(range(16, 32), key=lambda j: moved[j])
    assert first["moved"] == pytest.approx(max(moved[16:32]), rel=1e-4)


def test_a_fault_is_a_sentence(studio: SmallStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    key = added(studio)

    def fail(*_: object) -> bool:
        raise ValueError("secret")

    monkeypatch.setattr("ppap.studio.explore.surveys.walk", fail)
    request = {"page": "p", "batch": key, "settings": SETTINGS}
    told: list[dict[str, Any]] = []
    wait_until(lambda: told.append(studio.ask("survey", request)) or "error" in told[-1])  # type: ignore[func-returns-value]
    assert "secret" not in told[-1]["error"]
    assert "error" not in studio.ask("survey", request)  # it is tried again


@pytest.mark.parametrize("name", ["page", "batch", "settings", "measure", "worth", "have"])
def test_whatever_is_sent_is_answered(studio: SmallStudio, name: str) -> None:
    key = added(studio)
    for value in HOSTILE:
        reply = studio.ask("survey", {"batch": key, "settings": SETTINGS, name: value})
        assert "The studio failed" not in reply.get("error", ""), value
        left = studio.ask("leave_survey", value)
        assert "The studio failed" not in left.get("error", ""), value


@pytest.mark.parametrize("call", ["several", "lasso"])
def test_whatever_is_kept_or_chosen_is_answered(studio: SmallStudio, call: str) -> None:
    request = {"batch": added(studio), "settings": SETTINGS}
    for value in HOSTILE:
        for name in ("batch", "settings", "kept", "lasso", "format"):
            reply = studio.ask(call, {**request, name: value})
            assert "The studio failed" not in reply.get("error", ""), (name, value)


def test_files_for_scripts_are_the_table(studio: SmallStudio) -> None:
    from ppap.settings import Settings

    held = studio.store.get(added(studio))
    settings = Settings(**SETTINGS)  # type: ignore[arg-type]
    trusting = studio.server.trusting
    with np.load(io.BytesIO(trusting.file(held, settings, 1, "npz"))) as arrays:
        assert arrays["anchors"].tolist() == list(range(48))
        np.testing.assert_allclose(arrays["precision"], brute_force("precision"), rtol=1e-5)
        assert arrays["positives"].tolist() == brute_force("positives")
        assert arrays["emptied"].dtype == bool
        assert json.loads(str(arrays["settings"])) == SETTINGS
    sample = json.loads(trusting.file(held, settings, 2, "json"))
    assert (sample["every"], sample["patches"]) == (2, 48)
    assert sample["anchors"] == [16 * i + j for i in range(3) for j in (0, 2, 8, 10)]
    expected = [brute_force("precision")[j] for j in sample["anchors"]]
    for value, other in zip(sample["precision"], expected, strict=True):
        assert (value is None) == np.isnan(other)
        assert value is None or value == pytest.approx(other, rel=1e-5)
    bare = studio.store.get(added(studio, labelled=False))
    assert "precision" not in json.loads(trusting.file(bare, settings, 1, "json"))


def test_scales_are_fixed_for_shares_and_open_for_others() -> None:
    given = np.array([0.2, np.nan, 0.4], np.float32)
    assert scale("precision", given) == (0, 1)
    assert scale("moved", given) == pytest.approx((0, 0.4))
    assert scale("cohesion", given) == pytest.approx((0.2, 0.4))
    low, high = scale("cohesion", np.full(3, np.nan, np.float32))
    assert low < high


def test_ordinals() -> None:
    assert [nth(n) for n in (2, 4, 8, 16, 32, 12)] == ["2nd", "4th", "8th", "16th", "32nd", "12th"]


def test_it_says_of_which_patches(studio: SmallStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    from ppap.studio.explore import surveys

    batch = small_batch()
    work = surveys.work_of(batch, module.read_settings(SETTINGS))
    monkeypatch.setattr(surveys, "MOST_WORK", work * 20)
    text = asked(studio, batch=added(studio))["text"]
    assert text.startswith("A sample: 12 of 48 patches, every 2nd row and column")
