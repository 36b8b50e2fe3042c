"""Runs that are sent to SLURM from the command line, and waited for."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ppap.settings import SettingError
from trainers.command import DONE, FAILED, INTERRUPTED, WRONG, say
from trainers.config import Config, parse_changes
from trainers.launching.cluster import DEVICE, EVERY, refresh, send
from trainers.launching.orders import Order, arguments, resuming, run_name, sent_to
from trainers.launching.queue import held
from trainers.runs.folder import Run, RunError
from trainers.runs.launch import Launch, is_alive, read_launch
from trainers.runs.notes import add_tags
from trainers.runs.owner import given_owner, write_owner
from trainers.runs.standing import ACTIVE, standing
from trainers.slurm.commands import SlurmError
from trainers.slurm.options import ALLOWED, Options, read_defaults, why_absent
from trainers.training.arguments import read, require
from trainers.training.errors import EXPECTED, complain
from trainers.training.splits import refuse_bad_data


def options_typed(words: list[str]) -> Options:
    """What SLURM is asked for: the defaults, changed by ``KEY=VALUE``.

    Raises:
        SettingError: there is no SLURM here, or it cannot be asked for that.
    """
    if said := why_absent():
        raise SettingError("on", said)
    changes = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name.strip() not in ALLOWED:
            raise SettingError(
                "slurm",
                f"--slurm takes KEY=VALUE, with KEY one of {', '.join(ALLOWED)}; not {word!r}.",
            )
        changes[name.strip()] = value
    return read_defaults().options.with_(changes)


def train_on_slurm(given: argparse.Namespace) -> int:
    """Send a run to SLURM as the arguments say; returns the exit status."""
    try:
        return run_on_slurm(given)
    except EXPECTED as error:
        complain(error)
        return WRONG


def run_on_slurm(given: argparse.Namespace) -> int:
    """Send the run that the arguments name to SLURM; the exit status.

    One that is there already is waited for, if that is wanted.

    Raises:
        RunError, SettingError, DataError: it cannot be sent.
    """
    options = options_typed(given.slurm)
    folder = given.out
    if folder is not None and is_alive(folder):
        if not given.wait:
            raise RunError(f"{folder} is already running: {standing(folder).text}")
        return wait(folder)
    target, config = read(given)
    require(config, report=not given.no_report)
    job = sent(given, target, config, options)
    say(
        f"Submitted to SLURM as job {job}; its script is {target.folder}/slurm.sh, its output "
        f"{target.folder}/console.txt. Follow it with squeue --jobs={job}, or in the studio."
    )
    return wait(target.folder) if given.wait else DONE


def sent(given: argparse.Namespace, target: Run, config: Config, options: Options) -> str:
    """Hand the run in; the number of its job."""
    folder = target.folder
    run_name(folder.name, "out")
    changes = parse_changes(given.set)
    if not given.resume:
        refuse_bad_data(config, given.data, report=not given.no_report, named=changes)
        if config.backbone != changes.get("backbone", config.backbone):
            changes["backbone"] = config.backbone
    order = sent_to(Order(folder.name, config.recipe, given.data, changes, config), options)
    about = {**order.about(), "config": order.config.as_dict()}
    more = ["--no-report"] if given.no_report else []
    words = [f"{name}={value}" for name, value in order.changes.items()]
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder.parent):
        if is_alive(folder):  # somebody else was quicker
            raise RunError(f"{folder} is already running.")
        before = read_launch(folder)
        if before is None and not given.resume:
            write_owner(folder, given_owner())
        add_tags(folder, given.tag)
        asked = time.time() if before is None else before.asked
        launch = Launch((), DEVICE, "cpu", asked, about=about)
        resume = resuming(folder, given.cache, words if given.resume else ())
        begin = resume if given.resume else arguments(about, folder, given.cache)
        launch = send(folder, launch, options, [*more, *begin], [*more, *resume])
    assert launch.job is not None
    return launch.job.number


def wait(folder: Path) -> int:
    """Wait for the end of a job's run and say what changes meanwhile; the exit status."""
    said = ""
    try:
        while True:
            try:
                refresh(folder.parent)
            except SlurmError as error:
                say(str(error))
            now = standing(folder)
            told = now.text or now.state
            if told != said:
                say(told)
                said = told
            if now.state not in ACTIVE:
                return FAILED if now.state == "failed" else DONE
            time.sleep(EVERY)
    except KeyboardInterrupt:
        say("The job continues on its own.")
        return INTERRUPTED
