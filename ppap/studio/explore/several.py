"""Several anchors at once: the page keeps up to eight, each in its colour, and lays their sets over
each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ppap.batches import Batch
from ppap.propagation import FEW_ANCHORS, PatchSets, propagate_unit
from ppap.settings import Settings, read_settings
from ppap.studio.answers import answering
from ppap.studio.explore import views
from ppap.studio.explore.device import Device
from ppap.studio.explore.looks.base import KEPT_COLOURS
from ppap.studio.requests import RequestError, mapping
from ppap.studio.store import BatchStore

# As many as there are colours, and as keep the cosines of every step.
MOST = FEW_ANCHORS


class Kept(NamedTuple):
    """One kept anchor with its sets at every step."""

    slot: int
    """Its colour in KEPT_COLOURS; its number is one more."""
    view: views.View

    @property
    def number(self) -> int:
        """What it is called."""
        return self.slot + 1

    @property
    def anchor(self) -> int:
        """Its patch."""
        return int(self.view.sets.anchors[0])


class Overlap(NamedTuple):
    """What the positives of kept anchors have in common at one step."""

    common: np.ndarray
    """|Pᵢ ∩ Pⱼ|, int64 ``(M, M)``; |Pᵢ| on the diagonal."""
    jaccard: np.ndarray
    """|Pᵢ ∩ Pⱼ| / |Pᵢ ∪ Pⱼ|, float64 ``(M, M)``; NaN where both are empty."""
    union: np.ndarray
    """bool ``(N,)``: in the positives of one at least."""
    intersection: np.ndarray
    """bool ``(N,)``: in the positives of all."""


def read_kept(raw: Any, batch: Batch) -> tuple[int | None, ...]:
    """The patches of kept anchors from untrusted values: a list of up to eight, whose place is the
    colour's, with None for a colour that is free.

    Raises:
        RequestError: no list, too many, or a patch twice.
        PatchError: no patch of the batch.
    """
    if raw is None:
        return ()
    if not isinstance(raw, list | tuple) or len(raw) > MOST:
        raise RequestError(f"The kept anchors must be a list of at most {MOST} patches.")
    found = tuple(None if one is None else views.check_anchor(batch, one) for one in raw)
    given = [one for one in found if one is not None]
    if len(set(given)) < len(given):
        raise RequestError("The kept anchors must be different patches.")
    return found


def gather(
    batch: Batch, kept: Sequence[int | None], settings: Settings, device: Device
) -> tuple[Kept, ...]:
    """PPAP's sets for every kept anchor, in one go."""
    slots = [slot for slot, patch in enumerate(kept) if patch is not None]
    if not slots:
        return ()
    anchors = torch.tensor([kept[slot] for slot in slots])
    with device:
        sets = propagate_unit(batch.features, anchors, **settings.as_dict())  # type: ignore[arg-type]
    return tuple(Kept(slot, views.look(batch, alone(sets, i))) for i, slot in enumerate(slots))


def alone(sets: PatchSets, i: int) -> PatchSets:
    """The ``i``-th anchor's part of sets that keep their cosines."""
    own = slice(i, i + 1)
    assert sets.kept is not None
    return PatchSets(
        features=sets.features,
        anchors=sets.anchors[own],
        proxies=sets.proxies[:, own],
        phi=sets.phi[:, own],
        psi=sets.psi[:, own],
        moved=sets.moved[:, own],
        positive=sets.positive[own],
        ambiguous=sets.ambiguous[own],
        negative=sets.negative[own],
        kept=sets.kept[:, own],
    )


def positives(kept: Sequence[Kept], step: int) -> np.ndarray:
    """P of every kept anchor at a step, bool ``(M, N)``; no anchor is in its own."""
    return np.stack([one.view.codes[step] == views.POSITIVE for one in kept])


def overlap(kept: Sequence[Kept], step: int) -> Overlap:
    """Hold the positives of kept anchors against each other at a step."""
    inside = positives(kept, step)
    # Whole numbers up to 2^24 are exact as float32, whose products are far quicker.
    as_floats = inside.astype(np.float32)
    common = np.rint(as_floats @ as_floats.T).astype(np.int64)
    sizes = common.diagonal()
    either = sizes[:, None] + sizes[None, :] - common
    jaccard = np.divide(common, either, out=np.full(common.shape, np.nan), where=either > 0)
    count = inside.sum(axis=0)
    return Overlap(common, jaccard, count > 0, count == len(inside))


def as_json(
    batch: Batch, kept: Sequence[Kept], steps: Callable[[views.View], list[dict[str, Any]]]
) -> dict[str, Any]:
    """Kept anchors for the file of sets; ``steps`` gives a view's numbers and patches by step."""
    return {
        "anchors": [
            {
                "number": one.number,
                "colour": "#{:02x}{:02x}{:02x}".format(*KEPT_COLOURS[one.slot]),
                "index": one.anchor,
                **batch.position(one.anchor)._asdict(),
                "steps": steps(one.view),
            }
            for one in kept
        ],
        "steps": [step_json(kept, t) for t in range(len(kept[0].view.steps))],
    }


def step_json(kept: Sequence[Kept], t: int) -> dict[str, Any]:
    """Union, intersection and overlaps at step ``t``."""
    found = overlap(kept, t)
    pairs = [(i, j) for i in range(len(kept)) for j in range(i)]
    return {
        "step": t,
        "union_patches": np.flatnonzero(found.union).tolist(),
        "intersection_patches": np.flatnonzero(found.intersection).tolist(),
        "overlaps": [
            {
                "anchors": [kept[j].number, kept[i].number],
                "common": int(found.common[i, j]),
                "jaccard": None if np.isnan(found.jaccard[i, j]) else float(found.jaccard[i, j]),
            }
            for i, j in pairs
        ],
    }


def as_arrays(kept: Sequence[Kept]) -> dict[str, np.ndarray]:
    """Kept anchors for the NPZ: sets bool ``(M, T+1, N)``; union and the like by step."""
    codes = np.stack([one.view.codes for one in kept])
    found = [overlap(kept, t) for t in range(codes.shape[1])]
    return {
        "several_anchors": np.array([one.anchor for one in kept]),
        "several_numbers": np.array([one.number for one in kept]),
        "several_positive": codes == views.POSITIVE,
        "several_ambiguous": codes == views.AMBIGUOUS,
        "several_negative": codes == views.NEGATIVE,
        "several_union": np.stack([one.union for one in found]),
        "several_intersection": np.stack([one.intersection for one in found]),
        "several_common": np.stack([one.common for one in found]),
        "several_jaccard": np.stack([one.jaccard for one in found]),
    }


def python_lines(batch: Batch, kept: Sequence[Kept], settings: Settings) -> Iterator[str]:
    """Lines that compute the same with the library, on ``batch``."""
    values = ", ".join(f"{name}={value!r}" for name, value in settings.as_dict().items())
    yield ""
    yield f"# The kept anchors {', '.join(str(one.number) for one in kept)}"
    yield "kept = torch.tensor(["
    for one in kept:
        image, row, column = batch.position(one.anchor)
        yield f"    batch.index(image={image}, row={row}, column={column}),"
    yield "])"
    yield f"several = ppap.propagate(batch.features, kept, {values})"
    yield "union, intersection = several.positive.any(dim=0), several.positive.all(dim=0)"
    yield "common = several.positive.int() @ several.positive.int().T"
    yield "print(int(union.sum()), int(intersection.sum()), common.tolist())"


def caption(kept: Sequence[Kept], step: int) -> str:
    """A line on kept anchors for a picture's caption."""
    found = overlap(kept, step)
    numbers = ", ".join(str(one.number) for one in kept)
    return (
        f"kept anchors {numbers}: {int(found.union.sum())} positive of any (union), "
        f"{int(found.intersection.sum())} of all (intersection)"
    )


class Several:
    """What the Explore page asks about the anchors that it keeps.

    Args:
        store: has the batches.
        device: whose turn it is to compute.
    """

    def __init__(self, store: BatchStore, device: Device) -> None:
        self.store, self.device = store, device

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.several]

    @answering
    def several(self, request: Any) -> dict[str, Any]:
        """The sets of kept anchors, by colour; None where a colour is free."""
        request = mapping(request)
        batch = self.store.get(request.get("batch")).batch
        kept = read_kept(request.get("kept"), batch)
        settings = read_settings(mapping(request.get("settings")))
        reply: list[dict[str, Any] | None] = [None] * len(kept)
        for one in gather(batch, kept, settings, self.device):
            steps = [step._asdict() for step in one.view.steps]
            reply[one.slot] = {"steps": steps, "codes": views.pack(one.view.codes)}
        return {"kept": reply}


def kept_from(request: Mapping[str, Any], batch: Batch, device: Device) -> tuple[Kept, ...]:
    """The kept anchors that a request for a file names."""
    kept = read_kept(request.get("kept"), batch)
    if not any(patch is not None for patch in kept):
        return ()
    return gather(batch, kept, read_settings(mapping(request.get("settings"))), device)
