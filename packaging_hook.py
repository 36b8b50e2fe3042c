"""Hands the requirements files to the package's metadata, so that each requirement stands once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# An extra, since it must be compiled: without it there is no CRF, and all else works.
CRF = "pydensecrf"


def requirements(file: Path) -> list[str]:
    """The lines of a requirements file, and of those that it names, without comments."""
    found = []
    for line in file.read_text("utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if line.startswith("-r "):
            found += requirements(file.parent / line.removeprefix("-r ").strip())
        elif line:
            found.append(line)
    return found


class RequirementsHook(MetadataHookInterface):
    """What the package needs, and its extras."""

    def update(self, metadata: dict[str, Any]) -> None:
        """See the base class."""
        root = Path(self.root)
        needed = requirements(root / "requirements.txt")
        metadata["dependencies"] = [line for line in needed if not line.startswith(CRF)]
        metadata["optional-dependencies"] = {
            "crf": [line for line in needed if line.startswith(CRF)],
            "track": requirements(root / "requirements-track.txt"),
            "docs": requirements(root / "requirements-docs.txt"),
            "formats": requirements(root / "requirements-formats.txt"),
            "test": requirements(root / "requirements-dev.txt"),
        }
