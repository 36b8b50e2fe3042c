"""The script of a job: it trains, writes a checkpoint when told to, waits anew, and goes on.

The job's shell runs on its first node, where process 0 of the run is, too. It hears of two
things: SIGUSR1 from SLURM before the time limit, and SIGTERM from whoever stops the run. Either way
it tells the trainer, which writes a checkpoint and ends; after the first the job is put back into
SLURM's queue, and then goes on from that checkpoint.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ppap.places import ROOT
from trainers.slurm.options import Options

SCRIPT = "slurm.sh"
# What the shell notes down of the trainer's end.
CODE = "slurm-code.txt"
# Ports of the first node at which its processes find each other, one for each job.
FIRST_PORT, PORTS = 20_000, 20_000

HEAD = """\
#!/bin/bash
# Made by PPAP Studio. To start or continue by hand: sbatch {script}
{options}

{setup}cd {root} || exit 1
run={run}
export PYTHONUNBUFFERED=1

# Once it has started, it continues from its last checkpoint.
if [ -f "$run/config.json" ]; then
  words=({resume})
else
  words=({begin})
fi

asked=
child=
stop() { asked=$1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null; }
trap 'stop time' USR1   # from SLURM: the time is nearly over
trap 'stop person' TERM # from whoever stops the run
"""
ALONE = """
{python} "${words[@]}" &
child=$!
"""
MANY = """
# torchrun on each node; the first is this one.
export PPAP_NODES=$SLURM_JOB_NUM_NODES
export PPAP_HEAD=$(hostname):$(({first} + SLURM_JOB_ID % {ports}))
others=$((PPAP_NODES - 1))
srun --nodes="$others" --ntasks="$others" --relative=1 --kill-on-bad-exit=0 \\
  bash -c 'export PPAP_NODE=$((SLURM_PROCID + 1)); exec "$@"' bash \\
  {python} "${words[@]}" &
PPAP_NODE=0 {python} "${words[@]}" &
child=$!
"""
TAIL = """
[ -z "$asked" ] || kill -TERM "$child"
while wait "$child"; code=$?; [ "$code" -gt 128 ] && kill -0 "$child" 2>/dev/null; do :; done
{others}echo "$SLURM_JOB_ID $code" >"$run/{code}"
if [ "$asked" = time ] && grep -q '"state": "stopped"' "$run/state.json"; then
  echo "The time limit is close: the job is queued again and will continue."
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


def script(
    folder: Path,
    options: Options,
    begin: Sequence[str],
    resume: Sequence[str],
    setup: Sequence[str] = (),
    program: Sequence[str] = ("-m", "trainers.train"),
) -> str:
    """The text of the script.

    Args:
        folder: of the run.
        options: what SLURM is asked for.
        begin: the words that begin the run, after the program.
        resume: those that go on with it.
        setup: lines of shell before that.
        program: what Python is started with to train.
    """
    parts = {
        "{script}": shlex.quote(str(folder / SCRIPT)),
        "{options}": "\n".join(f"#SBATCH {one}" for one in directives(folder, options)),
        "{setup}": "".join(f"{line}\n" for line in setup),
        "{root}": shlex.quote(str(ROOT)),
        "{run}": shlex.quote(str(folder)),
        "{resume}": shlex.join(resume),
        "{begin}": shlex.join(begin),
        "{python}": shlex.join([sys.executable, *program]),
        "{first}": str(FIRST_PORT),
        "{ports}": str(PORTS),
        "{code}": CODE,
        "{others}": "wait\n" if options.nodes > 1 else "",
    }
    # Piece by piece, so that nothing that is put in is taken for a place to put something.
    pieces = (HEAD, MANY if options.nodes > 1 else ALONE, TAIL)
    return "".join(filled(piece, parts) for piece in pieces)


def filled(piece: str, parts: dict[str, str]) -> str:
    """A piece with its places filled in, each once."""
    found, rest = "", piece
    while rest:
        places = [(rest.find(name), name) for name in parts if name in rest]
        if not places:
            return found + rest
        at, name = min(places)
        found, rest = found + rest[:at] + parts[name], rest[at + len(name) :]
    return found


def directives(folder: Path, options: Options) -> list[str]:
    """The options of sbatch that stand in the script."""
    console = str(folder / "console.txt").replace("%", "%%")
    made = [
        f"--job-name=ppap-{folder.name}",
        f'--output="{console}"',
        "--open-mode=append",
        "--requeue",
        f"--signal=B:USR1@{options.warning}",
        f"--nodes={options.nodes}",
        "--ntasks-per-node=1",
    ]
    named = {
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "time": options.time,
        "gpus-per-node": options.gpus or "",
        "cpus-per-task": options.cpus or "",
        "mem": options.memory,
    }
    made += [f"--{name}={value}" for name, value in named.items() if value]
    return [*made, *options.extra]
