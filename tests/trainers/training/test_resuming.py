"""What a run goes on with, when its config.json is not what it was trained with."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from ppap.checkpoints.own import CheckpointError, load_checkpoint, save_checkpoint
from ppap.settings import SettingError
from tests.support.small_runs import Place, results, state_of
from trainers import train
from trainers.config import Config
from trainers.runs.folder import LAST, Run, RunError
from trainers.training.resuming import mended, newest, readable_config

TRAINED = Config(recipe="camvid", epochs=2, lr=0.01, backbone="old.pth", keep=3).as_dict()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    made.folder.mkdir()
    return made


def write(run: Run, raw: dict[str, Any]) -> None:
    run.config_file.write_text(json.dumps(raw), encoding="utf-8")


def test_what_is_as_it_was_needs_no_word(run: Run) -> None:
    write(run, {**TRAINED, "keep": 5, "workers": 0, "backbone": "moved/old.pth"})
    found = mended(run, TRAINED, {"log_every": "3"})
    assert found.told == []
    # What may change has, and the backbone's file may have moved.
    assert (found.config.keep, found.config.workers, found.config.log_every) == (5, 0, 3)
    assert (found.config.backbone, found.config.lr) == ("moved/old.pth", 0.01)


@pytest.mark.parametrize("name", ["epochs", "lr", "recipe", "keep", "backbone"])
def test_what_is_lacking_comes_from_the_checkpoint(run: Run, name: str) -> None:
    write(run, {n: v for n, v in TRAINED.items() if n != name})
    found = mended(run, TRAINED, {})
    assert found.config.as_dict() == TRAINED
    assert found.told == [
        f"config.json lacks {name}: taken from the newest checkpoint ({name}={TRAINED[name]})."
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 9), ("lr", 0.5), ("probe_epochs", 3), ("seed", 7), ("rule", "tps"), ("batch", 2)],
)
def test_what_differs_is_what_it_was_trained_with(run: Run, name: str, value: object) -> None:
    write(run, {**TRAINED, name: value})
    found = mended(run, TRAINED, {})
    assert found.config.as_dict() == TRAINED
    assert found.told == [
        f"config.json says {name}={value}, but the run was trained with {name}={TRAINED[name]}: "
        "continuing with that. For other settings, start a new run."
    ]


@pytest.mark.parametrize("value", [[], {}, None, "five", True, math.nan, 10**400])
def test_a_value_of_a_wrong_type(run: Run, value: object) -> None:
    write(run, {**TRAINED, "epochs": value})
    found = mended(run, TRAINED, {})
    assert found.config.as_dict() == TRAINED
    assert len(found.told) == 1
    assert "continuing with epochs=2, from the newest checkpoint" in found.told[0]


def test_the_same_number_written_otherwise(run: Run) -> None:
    write(run, {**TRAINED, "epochs": 2.0, "lr": "0.01", "crf": "false"})
    assert mended(run, TRAINED, {}).told == []


def test_a_setting_of_another_version_is_refused(run: Run) -> None:
    write(run, {**TRAINED, "epoch": 3})
    with pytest.raises(SettingError, match="no setting called 'epoch'"):
        mended(run, TRAINED, {})


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_config_that_is_none(run: Run, content: bytes) -> None:
    run.config_file.write_bytes(content)
    found = mended(run, TRAINED, {})
    assert found.config.as_dict() == TRAINED
    assert "config.json" in found.told[0]
    assert found.told[0].endswith("The settings are taken from the newest checkpoint.")
    with pytest.raises(RunError, match=r"config\.json"):
        mended(run, None, {})
    with pytest.raises(RunError, match=r"config\.json"):
        readable_config(run)


def test_without_a_checkpoint_the_recipe_and_the_command_tell(run: Run) -> None:
    (run.folder / "command.txt").write_text(
        "python -m trainers.train samples --out runs/a --set epochs=7 seed=3\n"
    )
    write(run, {"recipe": "samples", "lr": 0.5})
    found = mended(run, None, {})
    assert (found.config.epochs, found.config.seed, found.config.lr) == (7, 3, 0.5)
    assert found.config.dataset == "samples"
    assert "taken from the run's command and its recipe" in found.told[0]
    assert "epochs=7" in found.told[0]
    write(run, found.config.as_dict())
    assert mended(run, None, {}).told == []


# --- through the command


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_finished_run_does_not_train_on(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Its epochs were 1; the default is 5."""
    given = place.words("run", place.config(epochs=1))
    assert train.main([*given, "--no-report"]) == 0
    run = Run(place.root / "run")
    before, config = results(run), run.config()
    for damage in ({"epochs": None}, {"epochs": 3}, None):
        raw = {**config.as_dict(), **(damage or {})}
        content = {n: v for n, v in raw.items() if v is not None}
        run.config_file.write_text("{" if damage is None else json.dumps(content))
        capsys.readouterr()
        assert train.main([*place.resumed("run"), "--no-report"]) == 0
        said = capsys.readouterr().err
        assert "config.json" in said
        assert results(run) == before
        assert run.config() == config
        assert state_of(run)["step"] == 5


def test_a_backbone_s_file_that_was_typed_in_another_folder(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Earlier versions kept it as it was typed, relative to where the command was given."""
    given = place.words("run", place.config(epochs=1))
    assert train.main([*given, "--no-report"]) == 0
    run = Run(place.root / "run")
    for lacks in (False, True):
        raw = {**run.config().as_dict(), "backbone": place.vit.name}
        raw |= {} if lacks else {"keep": 7}
        write(run, {name: value for name, value in raw.items() if not (lacks and name == "keep")})
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert train.main([*place.resumed("run"), "--no-report"]) == 0
        assert run.config().backbone == str(place.vit)


def test_weights_that_are_no_numbers_are_passed_over(place: Place) -> None:
    assert place.train("run", place.config(epochs=1, checkpoint_every=1)) == "finished"
    run = Run(place.root / "run")
    file = run.latest()
    assert file is not None
    checkpoint = load_checkpoint(file)
    next(iter(checkpoint.trained.tensors.values()))[0] = math.inf
    file.unlink()
    save_checkpoint(checkpoint, file)
    told: list[str] = []
    found = newest(run, told.append)
    assert found is not None
    assert found[0] == run.steps()[0]
    assert "contain NaN or infinity" in told[0]
    assert file.name in told[0]
    run.steps()[0].unlink()
    with pytest.raises(CheckpointError, match="contain NaN or infinity"):
        newest(run, told.append)


def test_an_image_that_changed_is_mentioned(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    config = place.config(epochs=2)
    assert place.train("run", config, 3) == "stopped"
    place.trainer("run", config).close()
    assert "changed" not in caplog.text
    images = sorted((place.data / "images").iterdir())
    names = [file for file in images if file.stem not in ("p3", "p7")]
    names[0].write_bytes(names[1].read_bytes())  # another picture
    place.trainer("run", config).close()
    assert f"images/{names[0].name} has changed since step 3, by size or date" in caplog.text
    for file in names:
        content = file.read_bytes()
        file.write_bytes(content + b"\0")
    caplog.clear()
    trainer = place.trainer("run", config)
    assert "and 7 more have changed since step 3" in caplog.text
    assert trainer.fit() == "finished"
    trainer.close()
    # From here on the new ones are what it was trained with.
    caplog.clear()
    place.trainer("run", config).close()
    assert "changed" not in caplog.text


def test_an_older_checkpoint_knows_nothing_of_dates(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    config = place.config(epochs=2)
    assert place.train("run", config, 3) == "stopped"
    run = Run(place.root / "run")
    file = run.latest()
    assert file is not None
    checkpoint = load_checkpoint(file)
    assert checkpoint.training is not None
    for name in ("stamps", "stretches"):
        del checkpoint.training[name]
    file.unlink()
    save_checkpoint(checkpoint, file)
    trainer = place.trainer("run", config)
    assert trainer.fit() == "finished"
    trainer.close()
    assert "changed" not in caplog.text
    assert torch.is_tensor(load_checkpoint(run.checkpoints / LAST).training["stamps"])  # type: ignore[index]
