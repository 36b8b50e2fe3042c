"""What keeps an order from being trained on, found before it starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ppap.data import DataError, Finding, detect_kind, open_dataset, preflight
from ppap.studio.requests import RequestError, refusal
from trainers.launching.orders import Order
from trainers.training.splits import SAMPLES, SKIP, skips_help

# Items of a data set that are opened before a start; the run itself opens more.
OPENED = 24
# Seconds that a form may take to look at headers and ends of files; a run looks at all of them.
LOOKING = 3.0
FINDINGS = 40
ANY_FOLDER = "The recipe own takes any folder of images."


def findings(order: Order) -> list[dict[str, str]]:
    """What is missing or broken in the training split."""
    if order.config.dataset == SAMPLES:
        return []
    kind = order.config.dataset or None
    found = preflight(
        order.data,
        kind,
        split=order.config.train_split,
        open_files=OPENED,
        seconds=LOOKING,
        on_error="skip" if order.config.on_error == "skip" else "stop",
    )
    return [{"severity": f.severity, "file": f.file, "text": f.text} for f in found][:FINDINGS]


def wrong_data(findings: Sequence[Mapping[str, str]], order: Order) -> str:
    """What keeps a data set from being trained on, in sentences; empty where nothing does."""
    errors = [Finding("error", f["file"], f["text"]) for f in findings if f["severity"] == "error"]
    if not errors:
        return ""
    rest = f" And {len(errors) - 1} more." if len(errors) > 1 else ""
    said = f"{errors[0].file} {errors[0].text}.{rest}"
    if skips_help(errors, order.config):
        return f"{said} Fix it, or {SKIP}."
    # A folder of another kind than the recipe's may be fine by itself.
    kind = None if order.data is None else detect_kind(order.data)
    other = order.config.dataset and kind not in (None, order.config.dataset)
    return f"{said} {ANY_FOLDER}" if other else said


def no_split(order: Order) -> str:
    """Why there is no split of the name to evaluate on; empty where there is, or none was named.

    A recipe's own may be missing: then nothing is evaluated.
    """
    if "eval_split" not in order.changes or order.config.dataset == SAMPLES:
        return ""
    try:
        open_dataset(order.data, kind=order.config.dataset or None, split=order.config.eval_split)
    except DataError as error:
        return f"{refusal(error)}."
    return ""


def near(find: Callable[[str], Path], text: object) -> list[str]:
    """What is offered in place of a path that is not found."""
    try:
        find(text.strip() if isinstance(text, str) else "")
    except RequestError as error:
        return list(error.offers)
    return []
