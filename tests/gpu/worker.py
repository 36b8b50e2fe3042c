"""The process in which checks run: ``python -m tests.gpu.worker DEVICE FOLDER [small]``.

It reads the name of a check a line, and answers each with lines of JSON: one for every number it
finds, at once, and one with how it went. A GPU that has met an
illegal access answers nothing any more, so whoever asks starts another worker after every check
that did not go well.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.gpu.sheet import Row

LINES = 12


def answer(
    name: str, device: str, folder: Path, *, small: bool, told: Callable[[Row], None]
) -> dict[str, str]:
    """Run a check: its state and, where it broke, the last lines of the error; rows to ``told``."""
    import torch

    from tests.gpu.checks import CHECKS
    from tests.gpu.sheet import Place, Sheet

    sheet = Sheet(told=told)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    said = ""
    try:
        CHECKS[name].work()(Place(torch.device(device), folder, small), sheet)
        state = "failed" if sheet.broken or not sheet.rows else "passed"
    except Exception:
        state, said = "broke", "\n".join(traceback.format_exc().splitlines()[-LINES:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"state": state, "said": said}


def main() -> None:
    """Answer until there are no more names."""
    device, folder, *rest = sys.argv[1:]
    # Whatever else is printed must not come between the answers.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)

        def say(what: dict[str, Any]) -> None:
            answers.write(json.dumps(what) + "\n")
            answers.flush()

        for line in sys.stdin:
            name, small = line.strip(), "small" in rest
            place = Path(folder) / name
            say(answer(name, device, place, small=small, told=lambda row: say({"row": vars(row)})))


if __name__ == "__main__":
    main()
