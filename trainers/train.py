"""Train from a recipe: ``python -m trainers.train RECIPE --data DIR --out runs/NAME``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from trainers.command import Parser, as_command, default_cache, expanded
from trainers.slurm.line import SLURM, add_place

PROGRAM = "python -m trainers.train"

DESCRIPTION = """\
Train a segmenter on images without labels: a copy of the backbone's last block and a projection
learn from patches that propagation finds to be alike. Labels, if there are any, are used only to
train the linear probe and to score validations and the report.

RECIPE names the settings to start from, such as a row of the paper's tables; --set changes any of
them. Missing or broken files of the data set are reported before anything runs.

RUN is a new folder. It gets config.json, command.txt, state.json (running, stopped, finished or
failed, and how far), metrics.jsonl, log.txt, checkpoints/, pictures/ of each validation, and at the
end report.json and report/, as python -m trainers.evaluate makes them.

Ctrl+C, SIGTERM or a closed terminal (unless under nohup) writes a checkpoint and stops the run;
--resume continues from it exactly, as it does after a crash. The report scores the last checkpoint,
or with selection=held_out the best on images held out from training; selection=evaluation takes
the best on the evaluation split itself, as published, and every table says so.
"""
EPILOG = """\
examples:
  python -m trainers.train camvid --data ~/CamVid --out runs/camvid
  python -m trainers.train camvid --data ~/CamVid --out runs/tps --set rule=tps seed=1
  python -m trainers.train samples --out runs/samples
      the photos that come with the project
  python -m trainers.train coco_vits16 --data /data/cocostuff --out runs/coco \\
          --set backbone=dino_deitsmall16_pretrain.pth
      the backbone from a file, if it cannot be downloaded by name
  python -m trainers.train --out runs/camvid --resume
      recipe, settings and data set are taken from the run
  python -m trainers.train coco_vits16 --data /data/cocostuff --out runs/coco --set devices=4
      four GPUs share each batch, with a process each; the same by hand:
  torchrun --nproc-per-node 4 -m trainers.train coco_vits16 --data /data/cocostuff --out runs/coco
  python -m trainers.train coco_vits16 --data /data/cocostuff --out runs/coco --on slurm \\
          --slurm gpus=4 time=12:00:00
      on a cluster (docs/cluster.md)

exit status: 0 done, or stopped on request; 1 it failed halfway (a loss that is NaN, a full
disk); 2 wrong arguments, or files that are missing, broken or do not fit; 130 interrupted twice.
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
    made.add_argument(
        "recipe",
        nargs="?",
        metavar="RECIPE",
        help="settings to start from: --list shows all recipes, --show one of them",
    )
    made.add_argument(
        "--data", metavar="DIR", type=expanded, help="the data set folder (samples needs none)"
    )
    made.add_argument(
        "--out", metavar="RUN", type=expanded, help="the run's folder, such as runs/NAME"
    )
    made.add_argument(
        "--set",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="change settings of the recipe; --settings lists them all",
    )
    made.add_argument(
        "--protocol",
        metavar="NAME",
        help="the same as --set protocol=NAME: studio, or published, which follows the published "
        "run wherever this project differs",
    )
    made.add_argument(
        "--resume", action="store_true", help="continue exactly from the last checkpoint in RUN"
    )
    made.add_argument(
        "--cache",
        metavar="DIR",
        type=expanded,
        default=default_cache(),
        help="folder for cached features, shared by all runs (default: %(default)s; or the "
        "environment variable PPAP_CACHE)",
    )
    made.add_argument(
        "--tag",
        metavar="WORD",
        nargs="+",
        action="extend",
        default=[],
        help="tag the run, so that the studio's list finds it by these words",
    )
    add_place(made)
    made.add_argument("--no-report", action="store_true", help="do not evaluate at the end")
    made.add_argument("--list", action="store_true", help="list the recipes and exit")
    made.add_argument(
        "--show",
        metavar="RECIPE",
        help="show a recipe and the settings it changes, and exit",
    )
    made.add_argument(
        "--settings", action="store_true", help="list all settings with their ranges and exit"
    )
    return made


@as_command
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given = parser().parse_args(arguments)
    given.words = sys.argv[1:] if arguments is None else list(arguments)
    from trainers.training import (
        session,  # takes seconds: --help should not
        showing,
    )

    if given.list or given.show or given.settings:
        return showing.show(given)
    if given.on == SLURM:
        from trainers.launching import typed

        return typed.train_on_slurm(given)
    return session.run(given)


if __name__ == "__main__":
    status = main()
    if os.environ.get("WORLD_SIZE", "1") not in ("", "0", "1"):
        # All is written and the others are let go of. Now and then a thread of PyTorch's aborts as
        # the interpreter ends, and torchrun would take the run for a failed one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
