"""The process of one tracker: ``python -m trainers.tracking.writer``, told line by line.

It is a process of its own so that nothing a tracker does, waits for or prints reaches the training.
What is told comes as lines of JSON: first what the run is, then lines as of ``metrics.jsonl``,
``{"report": …}`` and ``{"end": …}``. Where lines end without that, the run was killed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from trainers.tracking.about import REPORT, About, Tracker, read_first_line
from trainers.tracking.asked import WANDB, Asked

END = "end"
FAILED = "failed"


def main() -> int:
    """Run until there is nothing more; the exit status."""
    with apart() as answers:
        lines = iter(sys.stdin)
        try:
            about, asked = read_first_line(next(lines))
            tell(opened(about, asked), about, lines)
        except BaseException as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            print(json.dumps({FAILED: reason[:500]}), file=answers, flush=True)
            raise
    return 0


def apart() -> TextIO:
    """The way back to the run; whatever is printed from here on goes where errors go."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def opened(about: About, asked: Asked) -> Tracker:
    """The tracker that was asked for."""
    if asked.name == WANDB:
        from trainers.tracking.wandb_run import WandbRun

        return WandbRun(about, asked)
    from trainers.tracking.trackio_run import TrackioRun

    return TrackioRun(about, asked)


def tell(tracker: Tracker, about: About, lines: Iterable[str]) -> None:
    """Tell of what came before, then of each line, then that it is over."""
    for record in known(about):
        tracker.write(record["kind"], record["step"], record)
    if hasattr(tracker, "caught_up"):
        tracker.caught_up()
    failed = True
    for line in lines:
        record = json.loads(line)
        if END in record:
            failed = record[END] == FAILED
            break  # others may still hold the pipe
        elif REPORT in record:
            tracker.report(record["step"], record[REPORT])
        else:
            tracker.write(record["kind"], record["step"], record)
    tracker.close(failed=failed)


def known(about: About) -> Iterator[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` from before this process; the rest is told as it comes."""
    if not about.known:
        return
    with (about.folder / "metrics.jsonl").open("rb") as stream:
        content = stream.read(about.known)
    for line in content.splitlines():
        yield json.loads(line.decode("utf-8", "replace"))


if __name__ == "__main__":
    sys.exit(main())
