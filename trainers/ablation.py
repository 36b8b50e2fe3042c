"""A grid of recipes, settings and seeds: ``python -m trainers.ablation RECIPE --name NAME``.

For programs: ``Ablation``, ``submit``, ``standing`` and ``table``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

from ppap.settings import SettingError
from trainers.ablations.forecast import forecast
from trainers.ablations.plan import SEEDS, Ablation, read_ablation, reopen
from trainers.ablations.queue import StudyStanding, Submitted, feed, goes_on, standing, submit
from trainers.ablations.table import as_markdown, table, write_table
from trainers.command import DONE, FAILED, INTERRUPTED, WRONG, Parser, as_command, expanded, say
from trainers.config import parse_changes
from trainers.launching.runner import Runner
from trainers.launching.typed import options_typed
from trainers.progress import in_words
from trainers.slurm.line import SLURM, add_place
from trainers.slurm.options import Options
from trainers.training.errors import EXPECTED, sentence

__all__ = ["Ablation", "read_ablation", "reopen", "standing", "submit", "table", "write_table"]

# Seconds between looks at the runs, and between lines where nothing changes and nobody watches.
LOOK_SECONDS, QUIET_SECONDS = 1.0, 60.0
DESCRIPTION = """\
Train and evaluate every combination of recipes, values of settings, and seeds, and make one table
of them: mean ± standard deviation over the seeds, next to the paper's row if there is one.

Every combination is a run in the folder --runs, such as NAME-camvid-phi0_0.6-seed0. Runs wait in
the same queue as those of the studio, one queue per device, and can be watched there.
"""
EPILOG = """
examples:
  python -m trainers.ablation camvid --data ~/CamVid --name phi --grid phi0=0.5,0.6,0.7
      three values, three seeds: nine runs
  python -m trainers.ablation camvid --data ~/CamVid --name parts --grid rule=tps,ans,ppap \\
          --grid steps=1,2 --seeds 0 1 --set epochs=2
      every rule with every number of steps
  python -m trainers.ablation coco_vits16 coco_vits16_tps --data /data/cocostuff --name table5
      several recipes on the same data
  python -m trainers.ablation --name phi
      continue this ablation as it was last started
  python -m trainers.ablation --name phi --only-table
      the table of the runs finished so far

The queue is on disk and the runs continue by themselves: Ctrl+C only stops the waiting. The same
command continues: finished runs are not repeated, running and waiting ones are waited for, and
stopped or interrupted ones are resumed. A run that failed before its first checkpoint is reported;
--retry starts it again.

The table is printed, and written to RUNS/.ablations/NAME as table.md, table.csv and table.json,
next to grid.json, which says what was asked for.

exit status: 0 all runs are finished, or --only-table; 1 some run failed or was stopped;
2 wrong arguments, or files that are missing or do not fit: nothing was started; 130 interrupted.
"""


def parser() -> Parser:
    """The command line."""
    made = Parser(
        prog="python -m trainers.ablation",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "recipes", nargs="*", metavar="RECIPE",
        help="whose settings the runs start from; none: continue the ablation NAME as it was last "
        "started",
    )  # fmt: skip
    made.add_argument(
        "--data", metavar="DIR", type=expanded, help="the data set folder (samples needs none)"
    )
    made.add_argument(
        "--runs", metavar="RUNS", type=expanded, default=Path("runs"),
        help="the folder of all runs (default: runs)",
    )  # fmt: skip
    made.add_argument(
        "--name", required=True, help="name of the ablation; its runs' names start with it"
    )
    made.add_argument(
        "--seeds", nargs="+", metavar="SEED",
        help=f"default: {' '.join(map(str, SEEDS))}",
    )  # fmt: skip
    made.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE",
        help="change settings in all runs; python -m trainers.train --settings lists them",
    )  # fmt: skip
    made.add_argument(
        "--grid", nargs="+", action="extend", default=[], metavar="KEY=A,B,…",
        help="try each of these values, combined with all values of every other --grid",
    )  # fmt: skip
    made.add_argument(
        "--retry",
        action="store_true",
        help="restart runs that failed before their first checkpoint",
    )
    made.add_argument(
        "--only-table",
        action="store_true",
        help="start nothing; only print the table of finished runs",
    )
    made.add_argument("--cache", metavar="DIR", type=expanded, help="as in trainers.train")
    add_place(made, waits=False)
    return made


@as_command
def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is missing and print the table; returns the exit status."""
    given = parser().parse_args(arguments)
    try:
        slurm = options_typed(given.slurm) if given.on == SLURM else None
        runner = Runner(given.runs, cache=given.cache, slurm=slurm)
        ablation = asked(given, runner.root)
        code = DONE
        if not given.only_table:
            announce(runner, ablation, slurm)
            left = wait(runner, ablation, submit(runner, ablation, retry=given.retry))
            code = tell(runner, standing(runner, ablation), left)
        made = table(runner, ablation)
        folder = write_table(runner.root, made)
    except KeyboardInterrupt:
        say("\nThe runs continue by themselves. The same command waits for them again.")
        return INTERRUPTED
    except EXPECTED as error:
        say(sentence(error))
        return WRONG
    print(as_markdown(made), end="")
    say(f"Written to {folder}.")
    return code


def asked(given: argparse.Namespace, root: Path) -> Ablation:
    """What the command line asks for.

    Raises:
        SettingError, RunError: something on it does not fit.
    """
    if not given.recipes:
        if given.data or given.seeds or given.set or given.grid:
            raise SettingError("recipe", "Name the recipes too, or give only --name.")
        return reopen(root, given.name)
    grid = parse_changes(given.grid)
    return read_ablation(
        {
            "name": given.name,
            "recipes": given.recipes,
            "data": None if given.data is None else str(given.data),
            "seeds": given.seeds or SEEDS,
            "settings": parse_changes(given.set),
            "grid": {name: values.split(",") for name, values in grid.items()},
        }
    ).placed()


def announce(runner: Runner, ablation: Ablation, slurm: Options | None) -> None:
    """Say how many runs are still to be made, and about how long all take, before any starts."""
    found = standing(runner, ablation)
    if found.finished < found.total:
        for sentence in forecast(runner, ablation, slurm).sentences():
            say(sentence)


def wait(runner: Runner, ablation: Ablation, submitted: Submitted) -> dict[str, str]:
    """Wait until nothing runs or waits any more; the runs that could not be started, and why.

    What there was no room for is tried again whenever another run has come to its end.
    """
    line, left = Line(), dict(submitted.left)
    if submitted.resumed:
        say(f"Continuing {', '.join(submitted.resumed)}.")
    for name, reason in left.items():
        say(f"{name} has not started yet: {reason}")
    tried: frozenset[str] | None = None
    while True:
        found = standing(runner, ablation)
        if left and found.active != tried:
            tried = found.active
            left = feed(runner, ablation, left)
            found = standing(runner, ablation)
        line.show(found, len(left))
        if found.running or found.waiting or (left and found.active):
            sleep(LOOK_SECONDS)
        elif not left or not tried:  # what is left was refused when nothing else ran
            line.end()
            return left


class Line:
    """How far it is: a line drawn anew on a terminal; elsewhere one whenever something changes."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.counts: object = None
        self.shown = monotonic()

    def show(self, found: StudyStanding, left: int) -> None:
        """Where all runs stand now; ``left`` are still to be asked for."""
        parts = {
            "running": found.running,
            "waiting": found.waiting + left,
            "stopped": found.stopped,
            "failed": found.failed,
        }
        counts = (found.finished, *parts.values())
        now = monotonic()
        if not self.terminal and counts == self.counts and now - self.shown < QUIET_SECONDS:
            return
        self.counts, self.shown = counts, now
        text = f"{found.finished} of {found.total} runs finished"
        text += "".join(f", {count} {what}" for what, count in parts.items() if count)
        seconds = found.time_left(left) if found.running or found.waiting or left else None
        text += "" if seconds is None else f", about {in_words(seconds)} left"
        sys.stderr.write(f"\r\x1b[K{text}" if self.terminal else f"{text}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the last line standing."""
        if self.terminal:
            sys.stderr.write("\n")


def tell(runner: Runner, found: StudyStanding, left: dict[str, str]) -> int:
    """Say of every run that is not finished why; the exit status."""
    failed = found.having("failed")
    for one in failed:
        say(f"{one.name} failed: {one.text}")
    if not all(goes_on(runner, one) for one in failed):
        say("To restart runs that failed before their first checkpoint, use --retry.")
    for one in found.having("stopped"):
        say(f"{one.name} was stopped; the same command continues it.")
    for name, there in found.runs.items():
        if there is None:
            reason = left.get(name, "It has been deleted.")
            say(f"{name} could not be started: {reason}")
    return DONE if found.finished == found.total else FAILED


if __name__ == "__main__":
    sys.exit(main())
