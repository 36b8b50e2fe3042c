"""What takes longer than a test may: ``make soak``. Each part tells its figures at the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import browser, playwright  # noqa: F401  (what drives a page here, too)

FIGURES: dict[str, str] = {}

Tell = Callable[[str, str], None]


@pytest.fixture
def tell() -> Tell:
    """Remember a figure for the summary: what was tried, and what came of it."""
    return FIGURES.__setitem__


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was done, since a passed test does not tell how much that was."""
    if FIGURES:
        terminalreporter.section("figures")
        for name, figure in FIGURES.items():
            terminalreporter.write_line(f"{name}: {figure}")
