"""What SLURM's words mean, and its commands with stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers.slurm import commands
from trainers.slurm.commands import SlurmError, look, read_jobs, run, submit
from trainers.slurm.jobs import GONE, Job


def test_jobs_are_read_from_what_squeue_and_sacct_print() -> None:
    found = read_jobs(
        "12|PENDING|(Resources)|\n13|RUNNING|None|node[1-2]\nslurm_load_jobs error\n"
        "14|CANCELLED by 1000|None|None assigned\n14.batch|x|y|z\n15||None|n\n|||\n"
    )
    assert found == {
        "12": Job("12", "PENDING", "Resources"),
        "13": Job("13", "RUNNING", "None", "node[1-2]"),
        "14": Job("14", "CANCELLED", "None"),
        "15": Job("15", GONE, "None", "n"),
    }


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (Job("7", "PENDING", "Resources"), "It is waiting in SLURM as job 7 until nodes are free."),
        (Job("7", "PENDING", "None"), "It is waiting in SLURM as job 7."),
        (Job("7", "PENDING", "QOSMaxJobs"), "It is waiting in SLURM as job 7 (QOSMaxJobs)."),
        (Job("7", "CONFIGURING"), "Job 7: SLURM is preparing its nodes."),
    ],
)
def test_why_it_waits_in_words(job: Job, text: str) -> None:
    assert job.waiting_text() == text
    assert job.waits()
    assert job.active()


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("TIMEOUT", "SLURM's time limit ended it (job 7)"),
        ("NODE_FAIL", "One of its nodes failed (job 7)"),
        ("OUT_OF_MEMORY", "It used more memory than SLURM had allocated to it (job 7)"),
        ("CANCELLED", "It was cancelled in SLURM (job 7)"),
        ("SOMETHING_NEW", "SLURM ended it (something_new) (job 7)"),
    ],
)
def test_how_it_ended_in_words(state: str, text: str) -> None:
    assert Job("7", state).end_text() == text
    assert not Job("7", state).active()


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of commands that comes first on the path."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def tool(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def test_jobs_that_have_left_the_queue_are_found_in_the_accounting(tools: Path) -> None:
    tool(tools, "squeue", "echo '12|RUNNING|None|n1'")
    tool(tools, "sacct", "echo '13|TIMEOUT|None|n2'")
    assert look(["12", "13", "14"]) == {
        "12": Job("12", "RUNNING", "None", "n1"),
        "13": Job("13", "TIMEOUT", "None", "n2"),
        "14": Job("14", GONE),
    }
    # Without accounting, nobody knows.
    tool(tools, "squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    tool(tools, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert look(["13"]) == {"13": Job("13", GONE)}
    assert look([]) == {}


def test_a_slurm_that_does_not_answer_is_no_end_of_a_job(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool(tools, "squeue", "echo 'slurm_load_jobs error: Unable to contact controller' >&2; exit 1")
    with pytest.raises(SlurmError, match=r"SLURM refused: .*Unable to contact controller"):
        look(["12"])
    monkeypatch.setattr(commands, "PATIENCE_SECONDS", 0.05)
    tool(tools, "squeue", "exec sleep 5")
    with pytest.raises(SlurmError, match=r"SLURM is not responding \(squeue\)"):
        look(["12"])
    with pytest.raises(SlurmError, match="nothing-like-this cannot be started"):
        run(["nothing-like-this"])


def test_a_refusal_is_told_in_slurms_words(tools: Path) -> None:
    tool(tools, "sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1")
    with pytest.raises(SlurmError, match=r"^SLURM refused: invalid partition specified: x\.$"):
        submit(tools / "job.sh")
    tool(tools, "sbatch", "echo '31;other'")
    assert submit(tools / "job.sh") == "31"
    tool(tools, "sbatch", "echo 'Hello'")
    with pytest.raises(SlurmError, match="printed 'Hello' instead of a job number"):
        submit(tools / "job.sh")


@pytest.mark.parametrize(
    ("said", "option"),
    [
        ("invalid partition specified: x", "partition"),
        ("Invalid account or account/partition combination specified", "partition"),
        ("Invalid qos specification", "qos"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "time"),
        ("Memory specification can not be satisfied", "memory"),
        ("Invalid generic resource (gres) specification", "gpus"),
        ("Node count specification invalid", "nodes"),
        ("Unable to contact slurm controller", None),
    ],
)
def test_a_refusal_belongs_to_an_option_where_it_names_one(said: str, option: str | None) -> None:
    assert commands.option_of(SlurmError(f"SLURM refused: {said}.")) == option


def test_a_job_that_sends_jobs_hands_nothing_of_its_own_on(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_JOB_ID", "SBATCH_PARTITION", "SRUN_DEBUG", "SLURM_CONF"):
        monkeypatch.setenv(name, "kept?")
    tool(tools, "show", "env")
    said = run(["show"])
    assert "SLURM_CONF=kept?" in said
    assert "SLURM_JOB_ID" not in said
    assert "SBATCH_" not in said
    assert "SRUN_" not in said
