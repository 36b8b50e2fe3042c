"""Segmenting and packing as jobs: how far they are, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from ppap.evaluation.crf import CrfWorkerError
from ppap.studio.checkpoints import CrfProcesses
from ppap.studio.loading import Cancelled, Job
from ppap.studio.requests import refused
from ppap.studio.sources import Progress


@dataclass
class SegmentJob(Job):
    """A segmentation, or a ZIP, under way."""

    stop: threading.Event = field(default_factory=threading.Event)
    """Set where what is done by then shall do."""
    growing: str = ""
    """The result's id, while its pictures are segmented."""
    taken: str = ""
    """Done: the id of the ZIP."""


def progress_of(job: SegmentJob, closing: threading.Event) -> Progress:
    """What tells a job how far it is; it raises Cancelled where nobody waits any more."""

    def progress(text: str, share: float) -> None:
        if job.cancelled.is_set() or closing.is_set():
            raise Cancelled
        job.text, job.share = text, share

    return progress


def do(
    job: SegmentJob, text: str, work: Callable[[], None], progress: Progress, crf: CrfProcesses
) -> None:
    """Do a job's work; however it ends, the job says so."""
    try:
        progress(text, 0)
        job.state = "running"
        work()
        job.state = "done"
    except Cancelled:
        job.state = "cancelled"
    except MemoryError:
        job.error = "These images need more memory than is available. Choose fewer."
        job.state = "failed"
    except CrfWorkerError as error:
        crf.renew()
        job.error, job.state = str(error), "failed"
    except Exception as error:  # the page must learn of anything that stops a job
        job.refused = refused(error)
        job.error, job.state = job.refused["error"], "failed"
