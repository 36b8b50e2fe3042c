"""Where a run is to be, on a command line."""

from __future__ import annotations

import argparse

HERE, SLURM = "here", "slurm"


def add_place(made: argparse.ArgumentParser, *, waits: bool = True) -> None:
    """Options ``--on`` and ``--slurm``; ``waits``: ``--wait``, too."""
    made.add_argument(
        "--on",
        choices=(HERE, SLURM),
        default=HERE,
        help="here: on this machine; slurm: as a job of the cluster",
    )
    made.add_argument(
        "--slurm",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="options for SLURM, in addition to the defaults in slurm.toml: partition, account, "
        "qos, time, nodes, gpus (per node), cpus, memory, warning, extra",
    )
    if waits:
        made.add_argument(
            "--wait", action="store_true", help="with --on slurm: wait until the run ends"
        )
