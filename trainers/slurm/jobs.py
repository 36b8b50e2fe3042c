"""A job as SLURM sees it, and what its words mean."""

from __future__ import annotations

from typing import NamedTuple

# What SLURM says of a job that waits, that runs, and that may do either again.
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT",
           "RESV_DEL_HOLD")  # fmt: skip
RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
# Ours: SLURM knows nothing of it any more.
GONE = "GONE"
REASONS = {
    "Resources": "until nodes are free",
    "Priority": "until the jobs before it have started",
    "BeginTime": "until its start time",
    "None": "",
    "Dependency": "for another job",
    "JobHeldUser": "because it is held (release it with scontrol release)",
    "JobHeldAdmin": "because an administrator holds it",
    "PartitionTimeLimit": "but cannot start: its time limit is longer than the partition allows",
    "PartitionNodeLimit": "but cannot start: the partition has fewer nodes than it asks for",
    "PartitionDown": "until the partition is up",
    "PartitionInactive": "until the partition is active",
    "ReqNodeNotAvail": "until the nodes it asks for are up",
    "Licenses": "for a licence",
    "launch failed requeued held": "because its start failed (try again with scontrol release)",
}
ENDS = {
    "TIMEOUT": "SLURM's time limit ended it",
    "DEADLINE": "Its deadline ended it",
    "CANCELLED": "It was cancelled in SLURM",
    "PREEMPTED": "SLURM preempted it for another job",
    "NODE_FAIL": "One of its nodes failed",
    "BOOT_FAIL": "Its node could not be started",
    "OUT_OF_MEMORY": "It used more memory than SLURM had allocated to it",
    "REVOKED": "SLURM moved it to another cluster",
    GONE: "SLURM no longer knows it",
}
# Ends that are nobody's failure: what was done so far is as good as after a stop.
AS_STOPPED = ("CANCELLED", "PREEMPTED")


class Job(NamedTuple):
    """A job, as it was last seen."""

    number: str
    state: str = "PENDING"
    """SLURM's word."""
    reason: str = ""
    """SLURM's word for why it waits, or how it ended."""
    nodes: str = ""
    """Where it runs: ``node[1-2]``."""

    def waits(self) -> bool:
        """Whether it is still to begin, or to begin again."""
        return self.state in WAITING

    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in WAITING or self.state in RUNNING

    def title(self) -> str:
        """``SLURM job 12 on node1``."""
        return f"SLURM job {self.number}" + (f" on {self.nodes}" if self.nodes else "")

    def waiting_text(self) -> str:
        """For what it waits, in words."""
        if self.state == "CONFIGURING":
            return f"Job {self.number}: SLURM is preparing its nodes."
        reason = REASONS.get(self.reason, f"({self.reason})" if self.reason else "")
        return f"It is waiting in SLURM as job {self.number} {reason}".rstrip() + "."

    def end_text(self) -> str:
        """How it ended, in words."""
        how = ENDS.get(self.state, f"SLURM ended it ({self.state.lower()})")
        return f"{how} (job {self.number})"
