"""The command below the form says what is typed, whether it would be taken or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ppap.studio.train.typed import as_typed

RUNS = Path("/somewhere/runs")
GONE = {"data": "There is no folder /gone. Did you mean /home?"}


def typed(errors: dict[str, str], **raw: Any) -> tuple[str, str]:
    return as_typed({"recipe": "photos", "name": "a", **raw}, RUNS, errors)


def test_a_folder_that_is_not_there_is_in_the_command_all_the_same() -> None:
    command, said = typed(GONE, data="/gone", settings={"epochs": "3", "rho": "0.1"})
    assert command == (
        "python -m trainers.train photos --data=/gone --out=/somewhere/runs/a --set epochs=3"
    )
    assert said == f"It would be refused: {GONE['data']}"


def test_what_is_not_typed_yet_has_a_placeholder() -> None:
    errors = {"name": "Give the run a name.", "data": "Enter the data set folder."}
    command, said = typed(errors, name="", data="")
    assert "--data=DIR --out=/somewhere/runs/NAME" in command
    assert said == "Replace NAME and DIR with your own."
    command, said = typed(
        {**errors, "phi0": "phi0 must be …"}, name="../x", data="", settings={"phi0": "9"}
    )
    assert command.endswith("--set phi0=9")
    assert said == "Replace NAME and DIR with your own. It would be refused: phi0 must be …"
    # The sample photos need no folder.
    command, _ = typed({"name": "…"}, recipe="samples", name="")
    assert "--data" not in command


def test_what_slurm_is_asked_for_is_in_it() -> None:
    slurm = {"gpus": "many", "extra": "--mem=4G --qos=low", "time": ""}
    command, _ = typed({"slurm.gpus": "…"}, data="/x", on="slurm", slurm=slurm)
    assert command.endswith("--on slurm --slurm gpus=many 'extra=--mem=4G --qos=low'")


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ({"recipe": "photo"}, "Did you mean photos?"),
        ({"recipe": ["x"]}, "recipe must be text"),
        ({"data": "a\nb"}, "data contains characters"),
        ({"settings": 5}, "named fields"),
        ({"settings": {"epochs": [1]}}, "epochs must be text"),
        ({"settings": {"backbone": "x" * 9999}}, "at most 4096"),
    ],
)
def test_where_there_is_none_it_says_why(raw: dict[str, Any], word: str) -> None:
    command, said = typed({"data": "…"}, **raw)
    assert command == ""
    assert said.startswith("There is no command: ")
    assert word in said


def test_words_of_strangers_stay_words() -> None:
    settings = {"backbone": "a; touch x", "recipe": "other", "none": "1"}
    command, _ = typed(GONE, data="$(touch y)", settings=settings)
    assert "'--data=$(touch y)'" in command
    assert command.endswith("--set 'backbone=a; touch x'")
