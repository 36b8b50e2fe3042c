"""The studio, reading runs' numbers as it did before: line by line. For ``bench_watch``.

Run as ``app.py`` is: ``python -m tests.benchmarks.watch_before --runs FOLDER``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ppap.studio.main import main
from trainers.runs import watching
from trainers.runs.lines import KINDS, LARGEST_STEP, Rows, as_rows
from trainers.runs.metrics import read_line


def line_by_line(data: bytes) -> dict[str, Rows]:
    """As ``parse`` of ``trainers.runs.lines``, without columns of digits."""
    records: dict[str, list[tuple[int, Mapping[str, Any]]]] = {kind: [] for kind in KINDS}
    for place, line in enumerate(data.splitlines()):
        record = read_line(line)
        if record is not None and record["kind"] in records and 0 <= record["step"] <= LARGEST_STEP:
            records[record["kind"]].append((place, record))
    return {kind: as_rows(found)[1] for kind, found in records.items() if found}


if __name__ == "__main__":
    watching.parse = line_by_line
    watching.READING_SECONDS = 0  # one part of each file a call
    main()
