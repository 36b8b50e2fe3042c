"""Where things lie, in a checkout as in an installed wheel."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder that ``ppap`` and ``trainers`` are imported from."""

_PACKED = ROOT / "ppap" / "assets"
ASSETS = _PACKED if _PACKED.is_dir() else ROOT / "assets"
"""Pages, styles and the sample photos' label maps: a wheel carries them inside the package."""


def runs_folder() -> Path:
    """Where runs are kept unless somebody says otherwise.

    ``runs/`` in the checkout; of an installed package, in the folder one works in.
    """
    checkout = (ROOT / "pyproject.toml").is_file()
    return (ROOT if checkout else Path.cwd()) / "runs"
