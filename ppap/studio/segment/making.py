"""A checkpoint made from the sample photos, for whoever has none."""

from __future__ import annotations

from typing import Any

from ppap.settings import SettingError
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.requests import RequestError
from ppap.studio.segment.replies import making_reply

RECIPE = "samples"


def begin_run(checkpoints: Checkpoints) -> dict[str, Any]:
    """Begin to train a small checkpoint; RequestError where that cannot be."""
    from trainers.launching.orders import read_order
    from trainers.launching.runner import free_name
    from trainers.runs.folder import RunError

    runner = checkpoints.runner()
    runner.root.mkdir(parents=True, exist_ok=True)
    name = free_name(runner.root, RECIPE)
    order, errors = read_order({"recipe": RECIPE, "name": name, "settings": {}})
    if order is None:
        raise RequestError(" ".join(errors.values()))
    try:
        return making_reply(runner.start(order))
    except RunError as error:
        raise RequestError(str(error)) from None


def run_so_far(checkpoints: Checkpoints, name: Any) -> dict[str, Any]:
    """How far that is; RequestError for a name that is none."""
    try:
        reply = making_reply(checkpoints.runner().standing(name))
    except SettingError as error:
        raise RequestError(str(error)) from None
    if reply["state"] == "finished":
        reply["checkpoints"] = checkpoints.listed()
    return reply


def can_make() -> bool:
    """Whether the trainer can be started from here."""
    try:
        import trainers.launching.runner  # noqa: F401
    except ImportError:
        return False
    return True
