from __future__ import annotations

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from ppap.batches import Batch, PatchError
from ppap.embedding.service import nearest_by_cosine
from ppap.evaluation.trust import trust
from ppap.propagation import propagate
from ppap.settings import Settings
from ppap.studio.explore import views as explorer
from ppap.studio.explore.views import AMBIGUOUS, ANCHOR, NEGATIVE, POSITIVE
from ppap.studio.store import Held
from tests.support.small_studio import small_batch

SETTINGS = Settings(0.5, 0.1, 3, 4, 3)


@pytest.fixture(scope="module")
def batch() -> Batch:
    return small_batch(3)


def unpack_codes(text: str, patches: int, steps: int) -> np.ndarray:
    """As assets/studio/shared/codec.js does it: the first patch in the lowest two bits."""
    packed = base64.b64decode(text)
    codes = [byte >> shift & 3 for byte in packed for shift in (0, 2, 4, 6)]
    return np.array(codes[: patches * steps]).reshape(steps, patches)


def test_codes_are_the_sets_of_every_step(batch: Batch) -> None:
    for anchor in (0, 17, 47):
        view = explorer.gather(batch, anchor, SETTINGS)
        sets = propagate(batch.features, torch.tensor([anchor]), **SETTINGS.as_dict())  # type: ignore[arg-type]
        assert view.codes.shape == (4, 48)
        for t in range(4):
            parts = sets.at(t)
            for code, members in (
                (POSITIVE, parts.positive),
                (AMBIGUOUS, parts.ambiguous),
                (NEGATIVE, parts.negative),
            ):
                assert (view.codes[t] == code).tolist() == members[0].tolist()
            assert np.flatnonzero(view.codes[t] == ANCHOR).tolist() == [anchor]
            np.testing.assert_allclose(view.similarity[t], sets.similarity(t)[0], atol=1e-6)


def test_every_number_of_a_step_is_the_library_s(batch: Batch) -> None:
    assert batch.labels is not None
    view = explorer.gather(batch, 5, SETTINGS)
    sets = propagate(batch.features, torch.tensor([5]), **SETTINGS.as_dict())  # type: ignore[arg-type]
    for t, step in enumerate(view.steps):
        parts = sets.at(t)
        assert step.phi == pytest.approx(float(sets.phi[t, 0]))
        assert step.psi == pytest.approx(float(sets.psi[t, 0]))
        counts = (step.positive, step.ambiguous, step.negative)
        assert counts == tuple(int(members.sum()) for members in parts)
        assert sum(counts) == 47
        found = trust(parts, sets.anchors, batch.labels)
        for own, expected in (
            (step.precision, found.precision),
            (step.recall, found.recall),
            (step.false_negative, found.false_negatives),
            (step.purity, found.purity),
        ):
            if math.isnan(float(expected)):
                assert own is None
            else:
                assert own == pytest.approx(float(expected))
    assert view.steps[0].moved is None
    moved = [step.moved for step in view.steps[1:]]
    assert moved == pytest.approx(sets.moved[:, 0].tolist())
    assert max(m for m in moved if m is not None) > 0


def test_a_proxy_stands_among_its_nearest_patches(batch: Batch) -> None:
    view = explorer.gather(batch, 5, SETTINGS)
    cosines = torch.from_numpy(view.similarity)
    near = nearest_by_cosine(cosines, explorer.NEIGHBOURS)
    for t, step in enumerate(view.steps):
        assert step.nearest == near.indices[t].tolist()
        assert sum(step.weights) == pytest.approx(1)
        assert set(step.nearest) == set(np.argsort(-view.similarity[t])[:5].tolist())


def test_without_labels_nothing_is_measured() -> None:
    view = explorer.gather(small_batch(1, labelled=False), 3, SETTINGS)
    for step in view.steps:
        assert (step.precision, step.recall, step.false_negative, step.purity) == (None,) * 4


def test_a_void_anchor_is_not_measured(batch: Batch) -> None:
    void = batch.index(0, 3, 0)
    step = explorer.gather(batch, void, SETTINGS).steps[-1]
    assert (step.precision, step.recall, step.false_negative, step.purity) == (None,) * 4


def test_no_steps_are_one_row(batch: Batch) -> None:
    view = explorer.gather(batch, 0, Settings(0.5, 0.1, 3, 4, 0))
    assert view.codes.shape == (1, 48)
    assert len(view.steps) == 1


@pytest.mark.parametrize("anchor", [-1, 48, 10**30, 1.0, math.nan, True, None, "3", [3], {}])
def test_an_anchor_outside_the_batch_is_refused_with_its_range(batch: Batch, anchor: Any) -> None:
    with pytest.raises(PatchError, match="from 0 to 47"):
        explorer.gather(batch, anchor, SETTINGS)


@pytest.mark.parametrize("patches", [1, 3, 4, 5, 48, 49])
def test_packed_codes_come_back_as_the_page_unpacks_them(patches: int) -> None:
    codes = np.random.default_rng(patches).integers(0, 4, (3, patches)).astype(np.uint8)
    packed = explorer.pack(codes)
    assert unpack_codes(packed, patches, 3).tolist() == codes.tolist()
    assert len(base64.b64decode(packed)) == math.ceil(3 * patches / 4)


def test_packing_by_hand() -> None:
    # 3, 2, 1, 0 from the lowest bits: 0b00_01_10_11; then 2 alone.
    assert base64.b64decode(explorer.pack(np.array([3, 2, 1, 0, 2], np.uint8))) == bytes([27, 2])


def test_quantised_cosines_are_within_half_a_level() -> None:
    cosines = np.linspace(-1, 1, 1001, dtype=np.float32)
    levels = np.frombuffer(base64.b64decode(explorer.quantise(cosines)), np.uint8)
    assert (levels[0], levels[500], levels[-1]) == (0, 128, 255)
    np.testing.assert_allclose(levels / 127.5 - 1, cosines, atol=0.5 / 127.5 + 1e-6)


def test_cosines_that_rounding_took_beyond_1_stay_in_a_byte() -> None:
    levels = base64.b64decode(explorer.quantise(np.array([-1.0001, 1.0001])))
    assert levels == bytes([0, 255])


def test_a_view_s_reply_is_json_that_unpacks_to_the_view(batch: Batch) -> None:
    view = explorer.gather(batch, 3, SETTINGS)
    reply = json.loads(json.dumps(explorer.view_reply(view), allow_nan=False))
    assert unpack_codes(reply["codes"], 48, 4).tolist() == view.codes.tolist()
    assert reply["steps"][2]["positive"] == view.steps[2].positive


def test_a_batch_s_reply_is_json_with_labels_as_the_page_reads_them(batch: Batch) -> None:
    held = Held("key", batch, {"source": "samples", "indices": (0, 1)})
    reply = json.loads(json.dumps(explorer.batch_reply(held), allow_nan=False))
    labels = np.frombuffer(base64.b64decode(reply["labels"]), "<i2")
    assert batch.labels is not None
    assert labels.tolist() == batch.labels.tolist()
    assert reply["recipe"] == {"source": "samples"}
    assert reply["grids"] == [[4, 4]] * 3
    assert reply["starts"] == [0, 16, 32, 48]
    assert (reply["shapes"], reply["patch"]) == ([[128, 128]] * 3, 32)
    assert reply["classes"] == ["left", "right"]
    bare = explorer.batch_reply(Held("key", small_batch(1, labelled=False), {}))
    assert bare["labels"] is None
