"""SLURM's own commands: submit, look, signal, cancel. None may keep anybody waiting for long."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainers.slurm.jobs import GONE, Job

PATIENCE_SECONDS = 20.0
LONGEST = 500
_NUMBER = re.compile(r"[0-9]{1,10}")
# Of a job's own surroundings, where the studio runs in a job itself.
_OTHERS = re.compile(r"(SLURM|SLURMD|SBATCH|SRUN)_")


class SlurmError(RuntimeError):
    """SLURM refused, or did not answer; the message says what it said."""


def submit(script: Path) -> str:
    """Hand a script in; the job's number. SlurmError where SLURM refuses it."""
    said = run(["sbatch", "--parsable", f"--chdir={script.parent}", str(script)])
    number = said.strip().partition(";")[0]
    if not _NUMBER.fullmatch(number):
        raise SlurmError(f"sbatch printed {said.strip()[:LONGEST]!r} instead of a job number.")
    return number


def look(numbers: Sequence[str]) -> dict[str, Job]:
    """The jobs with these numbers, as they are now; those that SLURM does not know are GONE.

    Raises:
        SlurmError: SLURM does not answer.
    """
    if not numbers:
        return {}
    asked = ",".join(numbers)
    form = "%i|%T|%r|%N"
    try:
        said = run(["squeue", "--noheader", "--states=all", f"--jobs={asked}", f"--format={form}"])
    except SlurmError as error:
        if "Invalid job id" not in str(error):
            raise
        said = ""
    found = read_jobs(said)
    missing = [number for number in numbers if number not in found]
    if missing:
        found |= accounted(missing)
    return {number: found.get(number, Job(number, GONE)) for number in numbers}


def accounted(numbers: Sequence[str]) -> dict[str, Job]:
    """What the accounting knows of jobs that have left the queue; nothing where there is none."""
    form = "JobIDRaw,State,Reason,NodeList"
    words = ["sacct", "--noheader", "--parsable2", "--allocations", "--duplicates"]
    try:
        said = run([*words, f"--jobs={','.join(numbers)}", f"--format={form}"])
    except SlurmError:
        return {}
    return read_jobs(said)


def read_jobs(said: str) -> dict[str, Job]:
    """Jobs from lines ``number|state|reason|nodes``; of several of one job the last counts."""
    found = {}
    for line in said.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) >= 4 and _NUMBER.fullmatch(parts[0]):
            number, state, reason, nodes = parts[:4]
            # ``CANCELLED by 1000``
            state = state.split()[0] if state else GONE
            nodes = "" if nodes.startswith("None") else nodes
            found[number] = Job(number, state, reason.strip("()"), nodes)
    return found


def ask_to_stop(number: str) -> None:
    """Take a job out of the queue, or let it write a checkpoint and end where it has begun."""
    run(["scancel", "--state=PENDING", number])
    run(["scancel", "--batch", "--signal=TERM", number], may_fail=True)  # if it still waited


def cancel(number: str) -> None:
    """End a job at once."""
    run(["scancel", number])


def run(words: Iterable[str], *, may_fail: bool = False) -> str:
    """What a command of SLURM's prints.

    Raises:
        SlurmError: it is not there, does not answer, or fails; with its own words.
    """
    words = list(words)
    kept = {n: v for n, v in os.environ.items() if not _OTHERS.match(n) or n == "SLURM_CONF"}
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_SECONDS,
            env=kept,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SlurmError(f"SLURM is not responding ({words[0]}).") from None
    except OSError as error:
        raise SlurmError(f"{words[0]} cannot be started: {error.strerror or error}.") from None
    if done.returncode and not may_fail:
        said = own_words(words[0], done.stderr)
        raise SlurmError(f"SLURM refused: {said or f'{words[0]} ended with {done.returncode}'}.")
    return done.stdout


def own_words(command: str, said: str) -> str:
    """What a command says of its failure, in one line and without its own name."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    plain = [line.removeprefix(f"{command}: ").removeprefix("error: ") for line in lines]
    return "; ".join(line.rstrip(".") for line in plain)[:LONGEST]


# What is wrong with a job, as SLURM says it, and the option that it is about.
_ABOUT = (
    ("partition", re.compile(r"partition", re.IGNORECASE)),
    ("account", re.compile(r"account", re.IGNORECASE)),
    ("qos", re.compile(r"qos", re.IGNORECASE)),
    ("time", re.compile(r"time limit", re.IGNORECASE)),
    ("memory", re.compile(r"memory", re.IGNORECASE)),
    ("gpus", re.compile(r"generic resource|gres|gpu", re.IGNORECASE)),
    ("nodes", re.compile(r"node (count|configuration)|too many nodes", re.IGNORECASE)),
)


def option_of(error: SlurmError) -> str | None:
    """The option that SLURM refuses; None where it does not say."""
    return next((name for name, pattern in _ABOUT if pattern.search(str(error))), None)
