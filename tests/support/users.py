"""Users who may log in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PASSWORDS = {"ada": "ada's long password", "bob": "bob's long password"}


def write_users(file: Path) -> Path:
    """A file for ``--auth-file``, made by the command that people use."""
    for name, password in PASSWORDS.items():
        done = subprocess.run(
            [sys.executable, str(ROOT / "app.py"), "add-user", str(file), name],
            input=f"{password}\n{password}\n",
            text=True,
            capture_output=True,
            timeout=60,
            start_new_session=True,  # so that it asks on stdin, not on a terminal
        )
        assert done.returncode == 0, done.stderr
    return file
