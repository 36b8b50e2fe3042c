from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ppap.batches import PatchError
from ppap.propagation import propagate
from ppap.settings import Settings
from ppap.studio import networks
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.explore import several
from ppap.studio.explore.device import Device
from ppap.studio.explore.exports import steps_json
from ppap.studio.requests import RequestError
from tests.support.small_studio import SmallStudio, load_tiny, small_batch

SETTINGS = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}
KEPT = [3, None, 20, 33]


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallStudio:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)
    return SmallStudio(tmp_path)


def gathered() -> tuple[several.Kept, ...]:
    settings = Settings(**SETTINGS)  # type: ignore[arg-type]
    return several.gather(small_batch(), KEPT, settings, Device())


def alone(anchor: int) -> Any:
    return propagate(small_batch().features, torch.tensor([anchor]), **SETTINGS)  # type: ignore[arg-type]


def test_each_has_the_sets_that_it_has_alone() -> None:
    found = gathered()
    assert [(one.slot, one.number, one.anchor) for one in found] == [
        (0, 1, 3),
        (2, 3, 20),
        (3, 4, 33),
    ]
    for one in found:
        sets = alone(one.anchor)
        for t in range(3):
            parts = sets.at(t)
            assert (one.view.codes[t] == 2).tolist() == parts.positive[0].tolist()
            assert (one.view.codes[t] == 1).tolist() == parts.ambiguous[0].tolist()
            assert one.view.steps[t].positive == int(parts.positive.sum())
            assert one.view.steps[t].phi == pytest.approx(float(sets.phi[t, 0]))


def test_overlaps_are_those_of_sets_of_numbers() -> None:
    kept = gathered()
    for t in range(3):
        sets = [set(np.flatnonzero(one.view.codes[t] == 2)) for one in kept]
        found = several.overlap(kept, t)
        assert set(np.flatnonzero(found.union)) == set.union(*sets)
        assert set(np.flatnonzero(found.intersection)) == set.intersection(*sets)
        for i, a in enumerate(sets):
            for j, b in enumerate(sets):
                assert found.common[i, j] == len(a & b)
                if a | b:
                    assert found.jaccard[i, j] == pytest.approx(len(a & b) / len(a | b))
                else:
                    assert np.isnan(found.jaccard[i, j])


def test_json_and_arrays_say_the_same() -> None:
    kept = gathered()
    written = several.as_json(small_batch(), kept, steps_json)
    arrays = several.as_arrays(kept)
    assert [one["number"] for one in written["anchors"]] == arrays["several_numbers"].tolist()
    assert written["anchors"][1]["image"] == 1
    for t, step in enumerate(written["steps"]):
        assert step["union_patches"] == np.flatnonzero(arrays["several_union"][t]).tolist()
        both = np.flatnonzero(arrays["several_intersection"][t]).tolist()
        assert step["intersection_patches"] == both
        first = step["overlaps"][0]
        assert first["anchors"] == [1, 3]
        assert first["common"] == arrays["several_common"][t, 0, 1]
    assert arrays["several_positive"].shape == (3, 3, 48)


def test_the_lines_of_python_compute_the_same() -> None:
    kept, batch = gathered(), small_batch()
    lines = "\n".join(several.python_lines(batch, kept, Settings(**SETTINGS)))  # type: ignore[arg-type]
    import ppap

    space: dict[str, Any] = {"batch": batch, "torch": torch, "ppap": ppap, "print": lambda *_: None}
    exec(lines, space)
    found = several.overlap(kept, 2)
    assert space["union"].tolist() == found.union.tolist()
    assert space["intersection"].tolist() == found.intersection.tolist()
    assert space["common"].tolist() == found.common.tolist()


@pytest.mark.parametrize(
    "raw", [5, "3", {}, [1] * 9, list(range(9)), [1, 1], [0, None, 0], [[1]], [True]]
)
def test_what_no_page_sends_is_refused(raw: Any) -> None:
    with pytest.raises((RequestError, PatchError)):
        several.read_kept(raw, small_batch())


def test_the_page_gets_what_is_missing_by_colour(studio: SmallStudio) -> None:
    batch = studio.load()
    request = {"batch": batch["batch"], "settings": SETTINGS, "kept": [None, 7, None, 11]}
    reply = studio.ask("several", request)["kept"]
    assert [one is None for one in reply] == [True, False, True, False]
    alone = studio.ask("gather", {**request, "anchor": 11})["view"]
    assert reply[3] == {"steps": alone["steps"], "codes": alone["codes"]}
    assert studio.ask("several", {**request, "kept": []}) == {"kept": []}


def test_whoever_does_not_own_the_batch_learns_nothing(studio: SmallStudio) -> None:
    with asking(Visitor(user="ada")):
        key = studio.store.add(small_batch(), {"source": "files"}).key
        request = {"batch": key, "settings": SETTINGS, "kept": [1], "lasso": [1]}
        for call in ("several", "lasso", "survey"):
            assert "error" not in studio.ask(call, request)
    with asking(Visitor(user="bob")):
        for call in ("several", "lasso", "survey"):
            assert studio.ask(call, request)["gone"]
    studio.server.surveys.close()
