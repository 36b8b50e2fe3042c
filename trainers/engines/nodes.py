"""The machines of a run that is on several: which of them this one is, as the job's script says."""

from __future__ import annotations

import os
from dataclasses import dataclass

NODES, NODE, HEAD = "PPAP_NODES", "PPAP_NODE", "PPAP_HEAD"


@dataclass(frozen=True)
class Nodes:
    """All machines of a run, seen from one."""

    count: int = 1
    this: int = 0
    """From 0 to ``count`` − 1; what is written once, machine 0 writes."""
    head: str = ""
    """Where machine 0 is found: ``name:port``."""

    def words(self) -> list[str]:
        """What torchrun is told of them."""
        if self.count == 1:
            # This machine's own name may lead nowhere.
            return ["--standalone", "--local-addr=127.0.0.1"]
        host, _, port = self.head.rpartition(":")
        return [
            f"--nnodes={self.count}",
            f"--node-rank={self.this}",
            f"--master-addr={host}",
            f"--master-port={port}",
        ]


def from_environment() -> Nodes:
    """As the script of the job says; one machine where nothing does."""
    count, this = (os.environ.get(name, "") for name in (NODES, NODE))
    if not count.isdigit() or int(count) < 2 or not this.isdigit():
        return Nodes()
    return Nodes(int(count), int(this), os.environ.get(HEAD, ""))
