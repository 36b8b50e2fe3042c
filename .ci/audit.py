"""Ask for known vulnerabilities of what is installed: ``python .ci/audit.py``.

pip-audit works in an environment of its own, so that its needs are not the project's. Where no
registry answers, a note says so, and that is no failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

PLACE = Path(sys.prefix) / "audit"
WANTED = "pip-audit>=2.9,<3"
PATIENCE_SECONDS = 180


def tool() -> Path | None:
    """pip-audit, installed if need be; None where it cannot be had."""
    program = PLACE / ("Scripts" if sys.platform == "win32" else "bin") / "pip-audit"
    if program.exists():
        return program
    made = (
        [sys.executable, "-m", "venv", str(PLACE)],
        [str(program.parent / "python"), "-m", "pip", "install", "--quiet", WANTED],
    )
    try:
        for words in made:
            subprocess.run(words, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return None
    return program


def answers(program: Path) -> list[dict[str, Any]]:
    """What is known of every package; empty where nobody answers."""
    here = sysconfig.get_paths()["purelib"]
    words = [str(program), "--path", here, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return []
    return [one for one in found if "vulns" in one]


def main() -> int:
    """Tell what is known; 1 where something is."""
    program = tool()
    known = [] if program is None else answers(program)
    if not known:
        print("Known vulnerabilities were not looked up: no registry answers.")
        return 0
    bad = [(one, each) for one in known for each in one["vulns"]]
    for one, each in bad:
        fixed = ", ".join(each.get("fix_versions") or ["no version yet"])
        print(f"{one['name']} {one['version']}: {each['id']}, mended in {fixed}")
    print(f"{len(known)} packages looked up, {len(bad)} known vulnerabilities.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
