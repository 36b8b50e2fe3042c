"""Which rule reads which setting, held against what training computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ppap.propagation import unit
from ppap.segmenter import TrainingFeatures
from ppap.settings import SettingError
from tests.support.small_runs import ALONE, Place
from tests.trainers.training.test_objective import features
from trainers.ablations.plan import Ablation
from trainers.config import FROZEN, KIND, STEGO, TRAINING_RULES, Config
from trainers.launching.orders import read_order
from trainers.recipes import find
from trainers.rules import NETWORK, READERS, read_only, reads, unread
from trainers.runs.folder import Run
from trainers.runs.side_by_side import side_by_side
from trainers.runs.standing import Reading
from trainers.runs.watching import Watching
from trainers.training.objective import Objective

# Another value of each, far enough from BASE to change the sets, or the loss, of these features.
OTHER: dict[str, Any] = {
    "phi0": 0.75,
    "psi0": 0.45,
    "sigma_pos": 0.4,
    "sigma_amb": 0.3,
    "steps": 1,
    "k_share": 0.3,
    "clusters": 2,
    "rho": 0.9,
    "self_weight": 0.1,
    "self_shift": 0.5,
    "near_weight": 0.9,
    "near_shift": 0.4,
    "far_weight": 0.1,
    "far_shift": 0.2,
    "far_images": 1,
    "temperature": 0.9,
    "published_scale": True,
    "anchors": 0.9,
    "candidates": 24,
}
# Read before the objective is made (hp_pool, near_images), or by several processes only.
ELSEWHERE = {"pool_size", "near_images", "exchange"}
BASE = Config(
    phi0=0.55, psi0=0.2, sigma_pos=1, sigma_amb=1, temperature=0.3, k_share=0.1, rho=0.3,
    far_images=2,
)  # fmt: skip


def streams(seed: int = 0) -> TrainingFeatures:
    tuned = features(seed + 50)
    return TrainingFeatures(features(seed), tuned, F.normalize(tuned.flatten(0, 2), dim=1))


def computed(rule: str, **changes: Any) -> tuple[float, ...]:
    """The loss of a step, and the sizes of its sets."""
    pool = unit(features(9).flatten(0, 2)[::3])
    made = Objective(BASE.with_({"rule": rule, **changes}), classes=4, world=ALONE, pool=pool)
    found = made(streams(), 1, near=streams(7))
    numbers = (found.loss, found.positives, found.ambiguous, found.negatives)
    return tuple(float(number) for number in numbers)


@pytest.mark.parametrize("rule", [rule for rule in TRAINING_RULES if rule != FROZEN])
def test_what_a_rule_reads_changes_its_sets_and_the_rest_does_not(rule: str) -> None:
    usual = computed(rule)
    for name, value in OTHER.items():
        same = repr(computed(rule, **{name: value})) == repr(usual)  # NaN is as good as NaN
        assert same != reads(rule, name), name


def test_the_table_holds_every_setting_that_only_some_rules_read() -> None:
    assert set(READERS) == set(OTHER) | ELSEWHERE | set(NETWORK)
    assert set(READERS) <= set(KIND)
    assert all(set(rules) < set(TRAINING_RULES) for rules in READERS.values())
    assert READERS["pool_size"] == ("hp",)
    assert READERS["near_images"] == (STEGO,)
    assert READERS["exchange"] == ("ppap",)


def test_the_frozen_backbone_reads_nothing_of_the_network(tmp_path: Path) -> None:
    place = Place(tmp_path)

    def weights(name: str, **changes: Any) -> list[Tensor]:
        trainer = place.trainer(name, place.config(rule=FROZEN, epochs=1, **changes))
        trainer.fit()
        parts: list[nn.Module] = [
            trainer.segmenter.cluster_probe,
            trainer.segmenter.linear_probe,
            trainer.segmenter.head,
        ]
        return [p.detach().clone() for part in parts for p in part.parameters()]

    other = {"optimizer": "adam", "lr": 0.5, "weight_decay": 1, "schedule": "cosine", "clip": 0.1}
    assert set(other) == set(NETWORK)
    usual = weights("usual")
    assert all(map(torch.equal, usual, weights("other", **other, **OTHER)))
    assert not all(map(torch.equal, usual, weights("seeded", seed=1)))


def test_settings_without_those_that_are_not_read() -> None:
    given = {"rule": "baseline", "phi0": 0.5, "sigma_pos": 3, "steps": 2, "epochs": 1}
    assert read_only(given) == {"rule": "baseline", "phi0": 0.5, "epochs": 1}
    assert "k_share" not in read_only({"k_share": 0.1})  # the usual rule is PPAP
    assert unread("ppap") > {"k_share", "rho"}
    # Of a later version: nobody knows what it reads.
    assert unread("later") == frozenset()
    assert reads(None, "phi0")


# --- where the table is used


def test_an_order_asks_for_nothing_that_its_rule_does_not_read() -> None:
    settings = {"rule": "baseline", "sigma_pos": "7", "steps": "9", "phi0": "0.5", "rho": "0.02"}
    order, errors = read_order({"recipe": "samples", "name": "a", "settings": settings})
    assert errors == {}
    assert order is not None
    assert order.changes == {"rule": "baseline", "phi0": "0.5"}
    assert order.config.sigma_pos == find("samples").config.sigma_pos
    # What is wrong is told all the same.
    _, errors = read_order({"recipe": "samples", "name": "a", "settings": {"k_share": "7"}})
    assert list(errors) == ["k_share"]


def ablation(settings: dict[str, str], grid: dict[str, tuple[str, ...]]) -> Ablation:
    return Ablation("a", ("samples",), seeds=(0,), settings=settings, grid=grid)


def test_an_ablation_over_what_its_rule_does_not_use_is_refused() -> None:
    made = ablation({"rule": "baseline"}, {"sigma_pos": ("1", "2")})
    with pytest.raises(SettingError, match="rule=baseline does not use sigma_pos") as raised:
        made.placed()
    assert raised.value.field == "sigma_pos"
    mixed = {"rule": ("ppap", "knn", "hp"), "phi0": ("0.5", "0.6")}
    with pytest.raises(SettingError, match="rule=knn and rule=hp do not use phi0"):
        ablation({}, mixed).placed()
    with pytest.raises(SettingError, match="None of these runs uses rho"):
        ablation({"rho": "0.1"}, {"phi0": ("0.5", "0.6")}).placed()
    fine: tuple[tuple[dict[str, str], dict[str, tuple[str, ...]]], ...] = (
        ({"rho": "0.1"}, {"rule": ("ppap", "hp")}),  # one of them uses it
        ({"rule": "tps"}, {"steps": ("1", "2")}),
        ({"rule": "knn"}, {"phi0": ("0.5",)}),  # a single value compares nothing
    )
    for settings, grid in fine:
        assert ablation(settings, grid).placed().total


def test_runs_are_compared_by_what_their_rules_read(tmp_path: Path) -> None:
    usual = find("samples").config
    changed: dict[str, dict[str, Any]] = {
        "ppap": {"sigma_pos": 4},
        "other": {"sigma_pos": 4, "phi0": 0.7},
        "plain": {"rule": "baseline", "sigma_pos": 9},
        "frozen": {"rule": "frozen", "phi0": 0.9, "lr": 0.1},
    }
    for name, changes in changed.items():
        Run(tmp_path / name).write_config(usual.with_(changes))

    def compared(*names: str) -> dict[str, list[Any]]:
        folders = [tmp_path / name for name in names]
        rows = side_by_side(folders, Reading(), Watching())["settings"]
        return {row["name"]: row["values"] for row in rows}

    assert compared("ppap", "plain") == {"rule": ["ppap", "baseline"]}
    assert compared("ppap", "other", "frozen") == {
        "rule": ["ppap", "ppap", "frozen"],
        "phi0": [usual.phi0, 0.7, None],
    }
