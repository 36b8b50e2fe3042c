"""``python -m trainers.study``: how far the sets can be trusted, and which settings suit."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainers.command import (
    DONE,
    FAILED,
    INTERRUPTED,
    WRONG,
    Parser,
    as_command,
    expanded,
    say,
    whole_number,
)
from trainers.progress import in_words

if TYPE_CHECKING:
    from ppap.backbones import Backbone
    from ppap.settings import Settings
    from ppap.study.grid import Axis
    from ppap.study.run import Plan

PROGRAM = "python -m trainers.study"
EVERY_SECONDS = 5.0
MOST = 1_000_000

DESCRIPTION = """\
Study the sets on random images of a data set: suggestions for Φ⁰, Ψ⁰, σ and T that need no labels;
PPAP against the baseline, HP's rule, k-NN and k-means (Table 6 and Fig. 1b of the paper), at their
own settings and at equal numbers of positives; precision against recall of same-class pairs among
all pairs of patches, which needs no settings; and a sweep over two settings. With --checkpoint, the
features before and after training are compared. Without label maps, only the suggestions and the
sizes of the sets are measured.
"""
EPILOG = """\
examples:
  python -m trainers.study --data ~/CamVid --split train --out studies/camvid
  python -m trainers.study --kind samples --size 448 --out studies/samples
  python -m trainers.study --data ~/photos --out studies/mine --x phi0=0.4:0.7:7 --y steps=1,2,3
  python -m trainers.study --data ~/CamVid --out studies/six --set phi0=0.6 psi0=0.4 --no-sweep
  python -m trainers.study --data ~/CamVid --out studies/run --checkpoint runs/camvid --no-sweep

--x and --y name a setting (phi0, psi0, sigma_pos, sigma_amb, steps) and its values as
first:last:count, or as a list such as 1,2,3.

Files in --out: study.html, a self-contained page; every figure as SVG and PNG; table6.csv,
fig1b.csv, classes.csv, stages.csv, same_class.csv and sweep.csv; study.json with all values.

exit status: 0 done; 1 it failed halfway; 2 wrong arguments, or files that are missing or broken;
130 stopped by Ctrl+C.
"""


def parser() -> Parser:
    """The command line."""
    made = Parser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--data", metavar="DIR", type=expanded, help="the data set folder")
    made.add_argument("--kind", help="kind of data set (default: detected from the folder)")
    made.add_argument("--split", help="split of the data set (default: train, or the only one)")
    made.add_argument(
        "--out", metavar="DIR", type=expanded, required=True, help="folder for the study"
    )
    made.add_argument(
        "--backbone",
        help="a name, a checkpoint file, or NAME@FILE if the file does not say which model it is "
        "from (default: embedded)",
    )
    made.add_argument(
        "--checkpoint", metavar="RUN_OR_FILE", type=expanded,
        help="a run's folder or checkpoint: its frozen backbone is studied alongside what training "
        "made of it, the trained feature and the projection z",
    )  # fmt: skip
    made.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="PPAP's settings: phi0, psi0, sigma_pos, sigma_amb, steps (default: as suggested)",
    )  # fmt: skip
    made.add_argument("--x", metavar="AXIS", help="x axis of the sweep (default: phi0=0.3:0.75:10)")
    made.add_argument("--y", metavar="AXIS", help="y axis of the sweep (default: steps=0:5:6)")
    made.add_argument("--overwrite", action="store_true", help="replace the study already in --out")
    made.add_argument("--no-sweep", action="store_true", help="leave out the sweep")
    made.add_argument(
        "--own-settings",
        action="store_true",
        help="leave out the comparison at equal numbers of positives",
    )
    for name, default, text in (
        ("images", 32, "images in a batch, whose patches an anchor is compared with"),
        ("batches", 1, "batches; the sweep and the suggestions use the first"),
        ("anchors", 1000, "random anchors in each batch"),
        ("size", 320, "side of the images in pixels"),
    ):
        made.add_argument(
            f"--{name}", metavar="N", type=whole_number(1, MOST), default=default,
            help=f"{text} (default: {default})",
        )  # fmt: skip
    made.add_argument("--seed", metavar="N", type=whole_number(0, 2**32 - 1), default=0)
    made.add_argument(
        "--progress-every", metavar="SECONDS", type=float, default=EVERY_SECONDS,
        help=argparse.SUPPRESS,
    )  # fmt: skip
    return made


@as_command
def main(arguments: Sequence[str] | None = None) -> int:
    """Make a study; the exit code."""
    given = parser().parse_args(arguments)
    try:
        return carry_out(given)
    except KeyboardInterrupt:
        say("Stopped; nothing was written.")
        return INTERRUPTED
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        say(str(error))
        return FAILED if isinstance(error, OSError) else WRONG


def carry_out(given: argparse.Namespace) -> int:
    """Open, study, write."""
    plan = plan_of(given)  # before anything slow is imported
    from ppap.backbones import load_backbone
    from ppap.data import open_dataset
    from ppap.study.figures import unwritable
    from ppap.study.run import study
    from ppap.study.saved import VALUES, write_study
    from ppap.study.tables import as_markdown

    if given.data is None and given.kind != "samples":
        raise ValueError("Give a data set: --data DIR, or --kind samples for the sample photos.")
    out = given.out
    if (out / VALUES).exists() and not given.overwrite:
        raise ValueError(
            f"{out} already contains a study: choose another folder, or add --overwrite."
        )
    if given.checkpoint is not None and given.backbone is not None:
        raise ValueError("--checkpoint has its own backbone: leave out --backbone.")
    if given.kind == "samples" and given.split:
        raise ValueError("The sample photos have no splits: leave out --split.")
    data = None if given.kind == "samples" else given.data
    options = {} if given.split is None else {"split": given.split}
    dataset = open_dataset(data, kind=given.kind, **options)
    trained: list[tuple[str, Backbone]] = []
    if given.checkpoint is None:
        backbone = load_backbone(given.backbone or "embedded")
    else:
        backbone, trained = networks_of(given.checkpoint)
    said = Said(given.progress_every)
    found = study(plan, dataset, backbone, trained=trained, progress=said)
    for note in found["notes"]:
        say(note)
    page = write_study(found, out)
    if note := unwritable(found):
        say(note)
    print("\n".join(found["advice"]["reasons"]))
    print(as_markdown(found), end="")
    print(page)
    return DONE


def networks_of(place: Path) -> tuple[Backbone, list[tuple[str, Backbone]]]:
    """The frozen backbone of a run or checkpoint, and what training made of it, with titles."""
    from ppap.checkpoints.features import TITLES, features_of
    from ppap.checkpoints.opening import load_segmenter
    from ppap.segmenter import TunedBlock
    from trainers.runs.folder import Run

    loaded = load_segmenter(Run(place).to_evaluate() if place.is_dir() else place)
    frozen = features_of(loaded, "frozen")
    if not isinstance(loaded.segmenter.head, TunedBlock):
        # STEGO trains no block: its code is both what is compared and what is used.
        return frozen, [("code", features_of(loaded, "projection"))]
    return frozen, [(TITLES[o], features_of(loaded, o)) for o in ("backbone", "projection")]


def plan_of(given: argparse.Namespace) -> Plan:
    """The arguments as a plan; ValueError says which is wrong."""
    from ppap.study.run import DEFAULT_X, DEFAULT_Y, Plan

    return Plan(
        settings=settings_of(given.set),
        x=None if given.no_sweep else axis(given.x, DEFAULT_X),
        y=None if given.no_sweep else axis(given.y, DEFAULT_Y),
        images=given.images,
        batches=given.batches,
        anchors=given.anchors,
        size=given.size,
        seed=given.seed,
        matched=not given.own_settings,
    )


def settings_of(words: Sequence[str]) -> Settings | None:
    """``phi0=0.6 …`` on top of the paper's σ and T; None where nothing is set."""
    from ppap.settings import SettingError, Settings, excerpt, read_settings

    if not words:
        return None
    values: dict[str, object] = dict(Settings(0.55, 0.15, 3, 4, 2).as_dict())
    for word in words:
        name, found, value = word.partition("=")
        if not found or name not in values:
            known = ", ".join(values)
            raise SettingError(
                "set", f"--set takes {known}, such as phi0=0.6, not {excerpt(word)}."
            )
        values[name] = value
    return read_settings(values)


def axis(text: str | None, default: Axis) -> Axis:
    """``phi0=0.3:0.75:10`` or ``steps=1,2,3``; SettingError where it is neither."""
    from ppap.settings import SettingError, excerpt
    from ppap.study.grid import Axis, evenly

    if text is None:
        return default
    name, _, values = text.partition("=")
    try:
        if ":" in values:
            first, last, count = values.split(":")
            return evenly(name, float(first), float(last), int(count))
        return Axis(name, tuple(float(value) for value in values.split(",")))
    except SettingError:
        raise
    except (ValueError, OverflowError):
        raise SettingError(
            "axis", f"Write an axis as phi0=0.3:0.75:10 or steps=1,2,3, not {excerpt(text)}."
        ) from None


class Said:
    """Progress on stderr, a line now and then."""

    def __init__(self, every: float) -> None:
        self.every, self.began, self.shown = every, time.monotonic(), 0.0
        self.text = ""

    def __call__(self, text: str, share: float) -> None:
        """``share`` of the whole is done."""
        now = time.monotonic()
        if text == self.text and now - self.shown < self.every:
            return
        self.shown, self.text = now, text
        passed = now - self.began
        left = f", {in_words(passed / share - passed)} left" if 0.05 < share < 1 else ""
        say(f"{text}: {100 * share:.0f} %{left}")


if __name__ == "__main__":
    sys.exit(main())
