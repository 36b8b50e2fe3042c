"""Whatever is sent to the studio, it answers in a sentence and goes on; with logins and without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.driver import Running, studio
from tests.support.fuzzing import Caller, Fuzzer
from tests.support.users import PASSWORDS, write_users
from trainers.launching.runner import Runner
from trainers.runs.folder import RunError

pytestmark = pytest.mark.slow

CALLS, ASKED = 330, 68
# What a request may cost, it may: these make work that goes on after the answer.
BEGINNING = frozenset({"study.start", "train.start", "evaluate.start", "segment.make"})
FAULT = "The studio failed"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("fuzzed") / "runs"
    yield root
    runner = Runner(root)
    for one in runner.runs() if root.exists() else ():
        try:
            runner.stop(one.name)
            runner.stop(one.name, now=True)
        except RunError:
            continue


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_users(tmp_path_factory.mktemp("users") / "users.txt")


def fuzz(caller: Caller, running: Running, seed: int) -> None:
    """Send what no page sends; RuntimeError, or a failing assertion, tells what was not borne."""
    fuzzer = Fuzzer(seed)
    functions = caller.functions()
    # A batch to aim at, so that the calls come further.
    images = ["samples", 224, "embedded", "", "train", 8, 0, "", None]
    key = result(caller, "load_batch", [*images, "", "", 0, "", "", "", "square"])["batch"]
    fuzzer.known = [key, {"batch": key, "anchor": 3}, 0, 5, "ppap", "samples"]
    names = sorted(functions)
    for number in range(CALLS):
        name = names[number % len(names)]
        argument = fuzzer.request()
        if name in BEGINNING and isinstance(argument, dict):
            argument["name"] = "../no name"
        answer = caller.call(name, functions[name], argument)
        assert answer.status_code < 500, (name, argument, answer.text)
        if answer.status_code == 200:
            reply = answer.json()
            assert isinstance(reply, dict), (name, argument)
            assert FAULT not in str(reply.get("error", "")), (name, argument, reply)
    endpoints = caller.endpoints()
    for number in range(ASKED):
        endpoint = endpoints[number % len(endpoints)]
        if endpoint.name in ("start_run", "make_sample_checkpoint", "start_study"):
            continue
        data = [fuzzer.value() for _ in range(endpoint.parameters)]
        lines = list(caller.ask(endpoint.name, data))
        assert lines, (endpoint, data)
        assert FAULT not in "".join(lines), (endpoint, data, lines)
        assert "status: 5" not in lines[0], (endpoint, data, lines)
    assert running.process.poll() is None
    # It still does what it is for.
    sets = result(caller, "propagate", [key, 0, 5, 5, 0.6, 0.3, 3, 4, 3, "", None])
    assert sets["rules"][0]["rule"] == "ppap"
    # A fault of the studio's own would be told there.
    assert "a request failed" not in running.log.read_text(errors="replace")


def result(caller: Caller, endpoint: str, data: list[Any]) -> dict[str, Any]:
    """What an endpoint answers to a sound request."""
    lines = [line for line in caller.ask(endpoint, data) if line]
    assert lines[-2] == "event: complete", lines
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("data: "))[0]
    return found


def test_without_logins(runs: Path) -> None:
    with studio(["--runs", str(runs)]) as running, Caller(running.url) as caller:
        fuzz(caller, running, seed=1)


def test_with_logins(runs: Path, users: Path) -> None:
    with (
        studio(["--runs", str(runs), "--auth-file", str(users)]) as running,
        Caller(running.url) as stranger,
        Caller(running.url) as ada,
    ):
        ada.log_in("ada", PASSWORDS["ada"])
        fuzz(ada, running, seed=2)
        # Nobody who has not logged in gets anything but the login page.
        fuzzer = Fuzzer(3)
        for name, component in ada.functions().items():
            assert stranger.call(name, component, fuzzer.request()).status_code == 401
        for endpoint in ada.endpoints():
            assert list(stranger.ask(endpoint.name, [])) == ["status: 401"]
