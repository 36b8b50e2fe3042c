"""What a report says of clusterings from many starts, in cells and sentences."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ppap.evaluation.cells import NOTHING, per_cent
from ppap.evaluation.paired import LEAST, Interval, in_words

HEAD = ("Start", "features", "loss", "U-Acc", "U-mIoU", "U-Acc of all", "U-mIoU of all")
GAIN_HEAD = ("Trained minus frozen", "U-Acc", "U-mIoU")
ABOUT = (
    "{clusterings} of each kind, found in {found_in} of the split '{split}' (seed {seed}). U-Acc "
    "and U-mIoU are for the start with the lowest loss, which needs no labels; of all: mean ± "
    "standard deviation over the starts."
)
# Names of numbers in tables of runs.
MEASURE, FROZEN, OVER = "U-mIoU", "frozen features", "over starts"
TITLES = {"noise": "Noise", "spread": "Spread", "merged": "Merged", "linkage": "Linkage"}


def over_starts(values: Sequence[float | None]) -> str:
    """Mean ± deviation."""
    known = [one for one in values if one is not None]
    if not known:
        return NOTHING
    spread = f" ± {statistics.stdev(known):.1f}" if len(known) > 1 else ""
    return f"{statistics.fmean(known):.1f}{spread}"


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each kind of start and features."""
    return [
        (
            TITLES.get(one["start"], one["start"]),
            one["features"],
            f"{one['losses'][one['chosen']]:.4f}".replace("-", "−"),
            per_cent(one["accuracy"]),
            per_cent(one["miou"]),
            over_starts(one["accuracies"]),
            over_starts(one["mious"]),
        )
        for one in found["rows"]
    ]


def gain_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """What training gains from each kind of start, in points, with its interval."""
    return [
        (
            TITLES.get(start, start),
            *(str(Interval(**one[name])) for name in ("accuracy", "miou")),
        )
        for start, one in found["gains"].items()
    ]


def about(found: dict[str, Any]) -> str:
    """What the tables show."""
    count = len(found["rows"][0]["losses"]) if found["rows"] else 0
    said = ABOUT.format(
        clusterings=counted(count, "clustering"),
        found_in=counted(found["images"], "image"),
        split=found["split"],
        seed=found["seed"],
    )
    gains = (gain[name] for gain in found["gains"].values() for name in ("accuracy", "miou"))
    some = any(gain["low"] is not None for gain in gains)
    return (
        f"{said} "
        f"{in_words() if some else f'No intervals, because there are fewer than {LEAST} images.'}"
    )


def counted(count: int, what: str) -> str:
    """``2 images``."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def names(start: str) -> tuple[str, str, str]:
    """Names of a kind of start's score, its deviation over starts, its score when frozen."""
    name = f"{MEASURE}, {TITLES[start].lower()}"
    return name, f"{name}, {OVER}", f"{name}, {FROZEN}"


def numbers_of(report: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """What a report tells of its clusterings from many starts; nothing where it has none."""
    rows = (report.get("starts") or {}).get("rows") or []
    for start in TITLES:
        name, _, frozen = names(start)
        for row in rows:
            if row["start"] != start or row["miou"] is None:
                continue
            title = frozen if row["features"] == "frozen" else name
            yield title, float(row["miou"])
            if len(row["mious"]) > 1:
                yield f"{title}, {OVER}", statistics.stdev(row["mious"])
