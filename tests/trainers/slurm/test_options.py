"""What SLURM is asked for: checked, and with defaults from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppap.settings import SettingError
from trainers.slurm import options
from trainers.slurm.options import (
    Defaults,
    Options,
    defaults_file,
    read_defaults,
    seconds,
    why_absent,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("5", 300), ("5:30", 330), ("2:00:05", 7205), ("1-12", 129_600),
     ("1-12:30", 131_400), ("2-0:00:01", 172_801)],
)  # fmt: skip
def test_time_limits_as_slurm_writes_them(text: str, expected: int | None) -> None:
    assert seconds(text) == expected
    assert Options(time=text).time == text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("partition", "gpu;rm -rf /", "a name of letters"),
        ("partition", "-x", "a name of letters"),
        ("account", "a\nb", "a name of letters"),
        ("qos", ["a"], "a name of letters"),
        ("time", "soon", "minutes, hours:minutes:seconds, or days-hours"),
        ("time", "1:2:3:4", "minutes"),
        ("memory", "64GB!", "a size such as 64G"),
        ("nodes", 0, "a whole number from 1 to 1024"),
        ("nodes", "1.5", "a whole number"),
        ("gpus", True, "a whole number from 0 to 64"),
        ("gpus", "²", "a whole number"),
        ("cpus", "99999999999999", "a whole number"),
        ("warning", 5, "from 10 to 65535"),
        ("extra", ["--wrap=rm"], "'--wrap=rm' cannot be added"),
        ("extra", "--output=/etc/passwd", "cannot be added"),
        ("extra", ["--constraint=a b"], "cannot be added"),
        ("extra", ["--comment=$(id)"], "cannot be added"),
        ("extra", ["--nice\n--wrap=x"], "cannot be added"),
        ("extra", [7], "cannot be added"),
        ("extra", 7, "at most 20 options"),
    ],
)
def test_nothing_else_gets_into_a_script(name: str, value: object, said: str) -> None:
    with pytest.raises(SettingError, match=said) as found:
        Options().with_({name: value})
    assert found.value.field == f"slurm.{name}"


def test_texts_of_a_form_are_taken() -> None:
    made = Options().with_(
        {"nodes": "2", "gpus": "4", "time": "12:00:00", "extra": "--constraint=a100 --exclusive"}
    )
    assert (made.nodes, made.gpus) == (2, 4)
    assert made.extra == ("--constraint=a100", "--exclusive")
    assert Options().with_(made.as_dict()) == made
    with pytest.raises(SettingError, match="not 'partitoin'"):
        made.with_({"partitoin": "gpu"})


def test_a_warning_comes_before_the_end() -> None:
    said = r"120 s before the time limit, which is only 60 s"
    with pytest.raises(SettingError, match=said) as found:
        Options(time="1")
    assert found.value.field == "slurm.warning"
    assert Options(time="1", warning=55).warning == 55


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(options.VARIABLE, str(tmp_path / "own.toml"))
    return tmp_path / "own.toml"


def test_defaults_stand_in_a_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_defaults() == Defaults(Options())
    file.write_text(
        'partition = "gpu"\ngpus = 4\nsetup = ["module load cuda"]\n'
        'extra = ["--constraint=a100"]\nenabled = true\n'
    )
    found = read_defaults()
    assert found.options == Options(partition="gpu", gpus=4, extra=("--constraint=a100",))
    assert (found.setup, found.enabled) == (("module load cuda",), True)
    monkeypatch.delenv(options.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(file.parent))
    assert defaults_file() == file.parent / "ppap-studio" / "slurm.toml"


@pytest.mark.parametrize(
    "text",
    ["partition = ", "gpu = 4", "gpus = -1", 'setup = "one"', 'setup = ["a\\nb"]', 'enabled = "y"'],
)
def test_a_file_that_makes_no_sense_is_named(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(SettingError, match=r"own\.toml"):
        read_defaults()


def test_where_there_is_no_slurm_that_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options.shutil, "which", lambda _: None)
    assert why_absent() == "SLURM is not installed here: sbatch is not on the PATH."
    monkeypatch.setattr(options.shutil, "which", lambda _: "/usr/bin/sbatch")
    assert why_absent() == ""
    file.write_text("enabled = false")
    assert why_absent() == f"SLURM is switched off in {file}."
