from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from ppap.settings import SettingError
from trainers.config import Config, parse_changes, read_config
from trainers.launching.changed import settings_changed
from trainers.launching.orders import read_order
from trainers.runs.folder import Run
from trainers.runs.standing import sound_settings
from trainers.tracking import asked
from trainers.tracking.asked import Asked, current, read_track, require_trackers


def test_what_is_asked_for() -> None:
    assert read_track("") == ()
    assert read_track(" tensorboard, wandb:offline,trackio ,") == (
        Asked("tensorboard"),
        Asked("wandb"),
        Asked("trackio"),
    )
    assert read_track("WandB:online,trackio:me/my-space") == (
        Asked("wandb", "online"),
        Asked("trackio", "me/my-space"),
    )
    assert [str(one) for one in read_track("wandb:online,trackio")] == ["wandb:online", "trackio"]


@pytest.mark.parametrize(
    "text",
    ["mlflow", "wandb,wandb", "wandb:cloud", "tensorboard:here", "trackio:space", "trackio:a/b/c"],
)
def test_what_makes_no_sense_is_told_at_the_field(text: str) -> None:
    with pytest.raises(SettingError) as found:
        Config(track=text)
    assert found.value.field == "track"


@pytest.mark.parametrize("project", ["", "a/b/c", "../x", "a b", "x" * 65, "/x"])
def test_a_project_has_a_plain_name(project: str) -> None:
    with pytest.raises(SettingError) as found:
        Config(track_project=project)
    assert found.value.field == "track_project"


def test_names_that_trackio_keeps_are_fine_without_it() -> None:
    assert Config(track="wandb", track_project="team/my_system").track_project == "team/my_system"
    with pytest.raises(SettingError, match="its own files"):
        Config(track="trackio", track_project="team/my_system")


# --- how it was spelt before


def test_the_former_setting_is_understood_wherever_settings_are_read(tmp_path: Path) -> None:
    assert read_config({"tensorboard": True}).track == "tensorboard"
    assert read_config({"tensorboard": False}).track == ""
    assert parse_changes(["tensorboard=yes", "track=wandb"]) == {"track": "wandb,tensorboard"}
    assert sound_settings({"tensorboard": True})["track"] == "tensorboard"
    assert settings_changed({"tensorboard": "true"}) == {"track": "tensorboard"}
    run = Run(tmp_path)
    run.config_file.write_text('{"tensorboard": true, "phi0": 0.3}')
    assert run.config() == Config(track="tensorboard", phi0=0.3)
    assert "tensorboard" not in run.raw_config()


def test_the_former_setting_with_another_value_is_refused() -> None:
    assert current({"tensorboard": "perhaps"}) == {"tensorboard": "perhaps"}
    with pytest.raises(SettingError, match="no setting called 'tensorboard'"):
        read_config({"tensorboard": "perhaps"})


# --- what must be there before a start


def test_what_is_not_installed_is_told_at_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    require_trackers("")
    for name, title in asked.TITLES.items():
        said = f"{title} is not installed: pip install {name}, or leave {name} out of track."
        with pytest.raises(SettingError) as found:
            require_trackers(name)
        assert (found.value.field, str(found.value)) == ("track", said)
    order = {"recipe": "samples", "name": "a", "settings": {"track": "wandb"}}
    assert "not installed" in read_order(order)[1]["track"]


def test_who_sends_must_be_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(asked, "_installed", lambda name: True)
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    keys = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(keys))
    require_trackers("wandb")
    with pytest.raises(SettingError, match="wandb login"):
        require_trackers("wandb:online")
    keys.write_text("machine api.wandb.ai login user password secret\n")
    keys.chmod(0o600)
    require_trackers("wandb:online")
    monkeypatch.setattr(asked, "_knows_hugging_face", lambda: False)
    require_trackers("trackio")
    with pytest.raises(SettingError, match="hf auth login"):
        require_trackers("trackio:me/space")
