"""The process in which checks run: ``python -m tests.gpu.worker DEVICE FOLDER [small]``.

It reads the name of a check a line, and answers each with a line of JSON. A GPU that has met an
illegal access answers nothing any more, so whoever asks starts another worker after every check
that did not go well.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

LINES = 12


def answer(name: str, device: str, folder: Path, *, small: bool) -> dict[str, Any]:
    """Run a check; its state, rows and, where it broke, the last lines of the error."""
    import torch

    from tests.gpu.checks import CHECKS
    from tests.gpu.sheet import Place, Sheet

    sheet = Sheet()
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
    return {"state": state, "said": said, "rows": sheet.as_dicts()}


def main() -> None:
    """Answer until there are no more names."""
    device, folder, *rest = sys.argv[1:]
    # Whatever else is printed must not come between the answers.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            name = line.strip()
            found = answer(name, device, Path(folder) / name, small="small" in rest)
            answers.write(json.dumps(found) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
