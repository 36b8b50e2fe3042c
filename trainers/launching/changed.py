"""With what a run goes on: the settings that may change meanwhile, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ppap.settings import SettingError, excerpt
from trainers.config import KIND, Config, checked, limits
from trainers.engines.devices import Share, wanted
from trainers.launching.cluster import DEVICE, options_of
from trainers.launching.orders import Order, plain_text, read_place, sent_to
from trainers.slurm.options import Options
from trainers.tracking.asked import current
from trainers.training.resuming import CHANGEABLE

# Of a run's settings, those that decide where it can run.
PLACING = ("device", "devices", "batch")


class GoingOn(NamedTuple):
    """How a run goes on."""

    about: dict[str, Any]
    """Recipe, data and settings, to ask for the same again."""
    words: list[str]
    """The settings that change, as the command line writes them."""
    share: Share
    slurm: Options | None


def goes_on(
    name: str,
    about: Mapping[str, Any],
    settings: Mapping[str, Any],
    changes: Mapping[str, object],
    place: Mapping[str, Any] | None,
) -> GoingOn:
    """Work out how a run goes on.

    Args:
        name: of the run.
        about: what it was asked for.
        settings: all its settings, as far as they make sense.
        changes: settings that change now; untrusted.
        place: ``on`` and ``slurm``, as of an order; untrusted. None: where it ran before.

    Raises:
        SettingError: a setting that cannot change any more, or a place that it cannot run at.
    """
    changed = settings_changed(changes)
    known = {part: settings[part] for part in PLACING if part in settings}
    config = Config().with_({**known, **changed})
    slurm = options_of(about) if place is None else read_place(place)
    if slurm is not None:
        order = sent_to(Order(name, about["recipe"], None, changed, config), slurm)
        changed, config = order.changes, order.config
    asked = {
        "recipe": about["recipe"],
        "data": about["data"],
        "settings": {**about["settings"], **changed},
        "config": {**settings, **{part: config.as_dict()[part] for part in changed}},
        **({} if slurm is None else {"slurm": slurm.as_dict()}),
    }
    share = Share(1, (DEVICE,)) if slurm is not None else wanted(config)
    return GoingOn(asked, [f"{name}={value}" for name, value in changed.items()], share, slurm)


def settings_changed(changes: Mapping[str, object]) -> dict[str, str]:
    """Settings as texts; SettingError where one cannot change in the middle of a run."""
    found = {}
    for name, value in current(changes).items():
        if name not in CHANGEABLE:
            raise SettingError(
                excerpt(name),
                f"{excerpt(name)} cannot change in the middle of a run; only these can: "
                f"{', '.join(CHANGEABLE)}.",
            )
        found[name] = plain_text(name, value)
        checked(name, found[name], KIND[name], limits(name))
    return found
