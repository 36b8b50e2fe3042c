"""What several test modules share: where the golden numbers and the optional real data are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes side by side that each used all cores would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder with the published implementation's numbers on small inputs."""
    return Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data sets beside the checkout; their licences keep them out of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data sets at {SHARED_DATA.name}/ beside the checkout's parent")
    return SHARED_DATA
