"""Hands the requirements files to the package's metadata, so that each requirement stands once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# An extra, since it must be compiled: without it there is no CRF, and all else works.
CRF = "pydensecrf"


def requirements(file: Path) -> list[str]:
    """The lines of a requirements file, without comments."""
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return [line for line in lines if line]


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
