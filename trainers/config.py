"""The configuration of a run: every setting with its range, checked when it is made.

A configuration is frozen, travels inside every checkpoint as plain JSON values, and is the only
thing that decides what a run computes: the same configuration on the same data gives the same run.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

from ppap.data import KINDS
from ppap.protocol import NAMES, Protocol
from ppap.rivals import RULES
from ppap.settings import RANGES, SettingError, Settings, excerpt
from trainers.several import check_devices
from trainers.tracking.asked import FORMER, PROJECT, check_project, current

# Beside the rules that give patch sets: nothing trained but the probes, and STEGO's loss.
FROZEN, STEGO = "frozen", "stego"
TRAINING_RULES = (*RULES, FROZEN, STEGO)
SELECTIONS = ("last", "held_out", "evaluation")
CLUSTER_STARTS = ("noise", "spread", "merged")
PROTOCOLS = NAMES
EXCHANGES = ("gather", "ring")
PRECISIONS = ("auto", "float32", "float16", "bfloat16")


class Limits(NamedTuple):
    """What a setting may be, and what it means."""

    meaning: str
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()
    above: bool = False
    """Whether ``least`` itself is excluded."""

    def sentence(self, kind: type) -> str:
        """The allowed values in words."""
        if self.choices:
            return f"one of {', '.join(choice or '(empty)' for choice in self.choices)}"
        if kind is bool:
            return "true or false"
        if kind is str:
            return "text"
        what = "a whole number" if kind is int else "a number"
        if math.isinf(self.most):
            if math.isinf(self.least):
                return what
            least = f"{self.least:,.10g}"
            return f"{what} above {least}" if self.above else f"{what}, {least} or more"
        start = f"above {self.least:,.10g} and" if self.above else f"from {self.least:,.10g}"
        return f"{what} {start} {'at most' if self.above else 'to'} {self.most:,.10g}"


def setting(default: Any, meaning: str, **limits: Any) -> Any:
    """A field of the configuration."""
    return field(default=default, metadata={"limits": Limits(meaning, **limits)})


def of_rule(name: str, default: float) -> Any:
    """A field that is one of the five settings of propagation."""
    allowed = RANGES[name]
    meaning = f"{allowed.symbol}. {allowed.meaning}"
    return setting(default, meaning, least=allowed.least, most=allowed.most)


class Stretches(NamedTuple):
    """The two parts of a run, either of which may be empty, in steps."""

    main: int
    """The network learns, the probes beside it unless they have a stretch of their own."""
    total: int
    """After ``main``, up to here, only the probes learn, on the finished features."""
    per_epoch: int

    def place(self, step: int) -> tuple[int, int]:
        """How many epochs are over before a step, and how many steps of the next one.

        The probes' stretch begins with an epoch of its own, wherever the network's ended.
        """
        if step < self.main or self.main == self.total:
            return divmod(step, self.per_epoch)
        begun = -(-self.main // self.per_epoch)
        epoch, rest = divmod(step - self.main, self.per_epoch)
        return begun + epoch, rest

    def ends(self, step: int) -> bool:
        """Whether an epoch, or all, ends after so many steps."""
        return step >= self.total or self.place(step)[1] == 0


@dataclass(frozen=True)
class Config:
    """All settings of a run; a value out of range raises SettingError, which names the field.

    The defaults are the published run on COCO-Stuff-27 with DINO ViT-S/16.
    """

    recipe: str = setting("", "The recipe that the settings started from.")

    dataset: str = setting(
        "", "Kind of data set; empty: detected from its folder.", choices=("", *KINDS)
    )
    train_split: str = setting("train", "The split to train on.")
    eval_split: str = setting("val", "The split to evaluate on.")
    crops: str = setting(
        "none", "five: the five crops of every training image.", choices=("none", "five")
    )
    crop_ratio: float = setting(
        0.5, "Side of a crop as a fraction of its image's side.", least=0, most=1, above=True
    )
    on_error: str = setting(
        "stop",
        "What to do about an unreadable image: stop ends the run; skip leaves it out, and the "
        "report counts it.",
        choices=("stop", "skip"),
    )
    size: int = setting(224, "Side of the training squares, in pixels.", least=16, most=4096)
    eval_size: int = setting(320, "Side of the evaluation squares, in pixels.", least=16, most=4096)

    backbone: str = setting(
        "dino_vits16",
        "The frozen network: a name, a ViT of timm, a checkpoint file, or NAME@FILE if the file "
        "does not say which model it is from.",
    )
    rule: str = setting(
        "ppap",
        "How patches are sorted into positives and negatives; frozen trains only the probes.",
        choices=TRAINING_RULES,
    )
    phi0: float = of_rule("phi0", 0.55)
    psi0: float = of_rule("psi0", 0.15)
    sigma_pos: float = of_rule("sigma_pos", 3)
    sigma_amb: float = of_rule("sigma_amb", 4)
    steps: int = of_rule("steps", 2)
    temperature: float = setting(0.8, "τ of Eq. 8.", least=0, most=100, above=True)
    published_scale: bool = setting(
        False, "Multiply the loss by τ/0.07 as the published code does; Eq. 8 has no such factor."
    )
    k_share: float = setting(
        0.02, "k nearest: k as a fraction of the batch's patches.", least=0, most=1, above=True
    )
    clusters: int = setting(
        0,
        "k-means: number of clusters in a batch; 0: the number of classes.",
        least=0,
        most=10_000,
    )
    pool_size: int = setting(2048, "Hidden positives: patches in the pool.", least=2, most=100_000)
    rho: float = setting(
        0.02, "Hidden positives: fraction of the other patches drawn as negatives.", least=0, most=1
    )
    self_weight: float = setting(0.67, "STEGO: weight of an image with itself.", least=0, most=100)
    self_shift: float = setting(0.08, "STEGO: shift of an image with itself.", least=-1, most=1)
    near_weight: float = setting(0.25, "STEGO: weight of near images.", least=0, most=100)
    near_shift: float = setting(0.02, "STEGO: shift of near images.", least=-1, most=1)
    far_weight: float = setting(0.63, "STEGO: weight of random images.", least=0, most=100)
    far_shift: float = setting(0.66, "STEGO: shift of random images.", least=-1, most=1)
    near_images: int = setting(
        7, "STEGO: number of nearest images to draw from.", least=1, most=1000
    )
    far_images: int = setting(5, "STEGO: random images per image.", least=1, most=1000)
    anchors: float = setting(
        0.25, "Fraction of each image's patches used as anchors.", least=0, most=1, above=True
    )
    candidates: int = setting(
        0,
        "Maximum number of patches per step that anchors are drawn from and compared with: a "
        "random sample with the same number from each image; 0: all patches, as published.",
        least=0,
    )
    exchange: str = setting(
        "gather",
        "How several processes see each other's patches. gather: all at once; ring: one process at "
        "a time, which needs less memory and sends more (docs/scale.md).",
        choices=EXCHANGES,
    )

    batch: int = setting(64, "Images per step, over all processes.", least=1, most=65_536)
    epochs: int = setting(5, "Passes over the training images.", least=0, most=100_000)
    max_steps: int = setting(
        0,
        "Maximum number of steps for the network, whatever the number of epochs; 0: no limit. The "
        "probes' own epochs (probe_epochs) follow in full.",
        least=0,
    )
    optimizer: str = setting("adamw", "Optimizer of the network.", choices=("adam", "adamw"))
    lr: float = setting(1e-3, "Learning rate of the network.", least=0, most=10, above=True)
    weight_decay: float = setting(0.01, "Weight decay of the network.", least=0, most=10)
    schedule: str = setting(
        "constant", "Learning rate schedule of the network.", choices=("constant", "cosine")
    )
    clip: float = setting(
        10, "Gradients of the network are clipped to this norm.", least=0, above=True
    )
    cluster_lr: float = setting(
        1e-3,
        "Learning rate of the cluster probe (Adam); 0: its centroids do not move.",
        least=0,
        most=10,
    )
    linear_lr: float = setting(
        1e-3, "Learning rate of the linear probe (Adam).", least=0, most=10, above=True
    )
    extra_clusters: int = setting(
        0, "Extra centroids, in addition to one per class.", least=0, most=10_000
    )
    unnamed_classes: int = setting(
        27,
        "Number of clusters to learn if the images have no classes; otherwise ignored.",
        least=2,
        most=1000,
    )
    probe_epochs: int = setting(
        0,
        "Epochs at the end in which new probes are trained on the final features; 0: the probes "
        "are trained only along with the network, as published.",
        least=0,
        most=10_000,
    )
    cluster_start: str = setting(
        "noise",
        "How centroids are initialised. noise: at random, as published; spread: at patches far "
        "from each other, as in k-means++; merged: at clusters merged from smaller ones by average "
        "linkage.",
        choices=CLUSTER_STARTS,
    )
    cluster_starts: int = setting(
        1,
        "Number of cluster probes to train; the one with the lowest loss is kept.",
        least=1,
        most=100,
    )

    protocol: str = setting(
        "studio",
        "published: follow the published run wherever this project differs, which is slower "
        "(docs/deviations.md); or in only one of these differences.",
        choices=PROTOCOLS,
    )
    precision: str = setting(
        "auto",
        "auto: float16 on a GPU, float32 on a CPU. float16 and bfloat16 use autocast, which makes "
        "convolutions on a CPU many times slower.",
        choices=PRECISIONS,
    )
    compile: bool = setting(False, "Compile the trained block with torch.compile.")
    device: str = setting("auto", "auto, cpu, cuda or cuda:N.")
    devices: str = setting(
        "1",
        "Devices that share each batch, with one process per device: a number, all, or GPUs such "
        "as 0,2. More than one requires device=auto, cuda or cpu.",
    )
    workers: int = setting(2, "Processes that read images.", least=0, most=256)
    cache: str = setting(
        "auto",
        "Cache the frozen trunk's output on disk; auto: if it fits.",
        choices=("auto", "on", "off"),
    )
    cache_gb: float = setting(50, "Maximum size of the cached features, in GB.", least=0)

    selection: str = setting(
        "last",
        "Which checkpoint to report: the last; the best on images held out from training; or the "
        "best on the evaluation split itself, as published, which inflates the scores.",
        choices=SELECTIONS,
    )
    held_out: float = setting(
        0.1,
        "Fraction of the training images held out for selection.",
        least=0,
        most=0.9,
        above=True,
    )
    validate_every: int = setting(
        1,
        "Epochs between validations, once the probes are being trained; 0: none.",
        least=0,
        most=10_000,
    )
    keep: int = setting(2, "Number of recent checkpoints to keep.", least=1, most=1000)
    checkpoint_every: int = setting(
        0,
        "Steps between checkpoints, in addition to one at the end of each epoch; 0: none.",
        least=0,
    )
    log_every: int = setting(
        10,
        "Steps between logged metrics; the end of each epoch is logged, too.",
        least=1,
        most=1_000_000,
    )
    crf: bool = setting(False, "Also report scores with CRF.")
    report_starts: int = setting(
        0,
        "Also report clusterings from this many starts of each kind, for trained and frozen "
        "features (docs/starts.md); 0: none.",
        least=0,
        most=100,
    )
    track: str = setting(
        "",
        "Other tools that get the run's numbers: tensorboard, wandb, trackio, separated by commas. "
        "Nothing leaves this machine unless you write wandb:online or trackio:OWNER/SPACE "
        "(docs/trackers.md).",
    )
    track_project: str = setting(
        PROJECT, "Project name in W&B and trackio; ENTITY/NAME for a W&B team."
    )
    seed: int = setting(0, "Seed of all random numbers.", least=0, most=2**31 - 1)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = checked(each.name, getattr(self, each.name), KIND[each.name], limits(each.name))
            object.__setattr__(self, each.name, value)  # a frozen field is set this way only
        if self.epochs == 0 and self.probe_epochs == 0:
            raise SettingError(
                "epochs", "epochs and probe_epochs are both 0, so nothing would be trained."
            )
        if self.rule != FROZEN and self.epochs == 0:
            raise SettingError(
                "epochs", f"epochs is 0, but the rule {self.rule} trains: use rule=frozen."
            )
        if self.selection != "last" and self.validate_every == 0:
            raise SettingError(
                "validate_every",
                f"selection={self.selection} needs validations, but validate_every is 0.",
            )
        check_devices(self.device, self.devices)
        check_project(self.track, self.track_project)
        self._check_protocol()

    def _check_protocol(self) -> None:
        """SettingError where half precision meets what cannot be in it."""
        protocol = Protocol.of(self.protocol)
        if protocol.half_training and self.precision not in ("auto", "float16"):
            raise SettingError(
                "precision",
                f"protocol={self.protocol} computes in half precision, which needs a gradient "
                "scaler: use precision=auto or float16.",
            )
        if protocol.half and self.cache == "on":
            raise SettingError(
                "cache",
                f"protocol={self.protocol} computes features in half precision, but cached "
                "features are float32: use cache=auto or off.",
            )

    @property
    def settings(self) -> Settings:
        """The five settings of propagation."""
        return Settings(self.phi0, self.psi0, self.sigma_pos, self.sigma_amb, self.steps)

    @property
    def head(self) -> str:
        """What of the network is trained, as ``Segmenter`` calls it."""
        return "code" if self.rule == STEGO else "block"

    def stretches(self, per_epoch: int) -> Stretches:
        """How long the network and the probes learn, in steps.

        Args:
            per_epoch: steps of a round over the training images.
        """
        # Where only the probes learn and have epochs of their own, there is nothing to do before.
        idle = self.rule == FROZEN and self.probe_epochs > 0
        main = 0 if idle else self.epochs * per_epoch
        main = min(main, self.max_steps) if self.max_steps else main
        return Stretches(main, main + self.probe_epochs * per_epoch, per_epoch)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    def with_(self, changes: Mapping[str, Any]) -> Config:
        """The same with other values; SettingError for a name that does not exist."""
        changes = current(changes)
        for name in changes:
            if name not in KIND:
                raise unknown(name)
        return replace(self, **changes)


_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
KIND: dict[str, type] = {each.name: _TYPES[str(each.type)] for each in fields(Config)}
_FIELDS = {each.name: each for each in fields(Config)}
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def limits(name: str) -> Limits:
    """What the field ``name`` may be."""
    found: Limits = _FIELDS[name].metadata["limits"]
    return found


def unknown(name: object) -> SettingError:
    """The error for a setting that does not exist; suggests the nearest that does."""
    text = excerpt(name)
    near = difflib.get_close_matches(text, KIND, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(KIND)}."
    return SettingError(text, f"There is no setting called {text!r}.{hint}")


def checked(name: str, value: object, kind: type, allowed: Limits) -> object:
    """``value`` as ``kind``, inside its limits; text is read as a command line writes it.

    Raises:
        SettingError: names the field and what is allowed.
    """
    parsed = _parsed(value, kind)
    fine = parsed is not None
    if fine and allowed.choices:
        fine = parsed in allowed.choices
    elif fine and kind in (int, float):
        low = parsed > allowed.least if allowed.above else parsed >= allowed.least  # type: ignore[operator]
        fine = low and parsed <= allowed.most  # type: ignore[operator]
    elif fine and kind is str:
        fine = str(parsed).isprintable()
    if not fine:
        raise SettingError(
            name, f"{name} must be {allowed.sentence(kind)}, not {excerpt(value)!r}."
        )
    return parsed


def _parsed(value: object, kind: type) -> object | None:
    """``value`` as ``kind``, or None where it is none."""
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is bool:
        return value if isinstance(value, bool) else _WORDS.get(str(value).strip().lower())
    if isinstance(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
        if not math.isfinite(number):
            return None
        if kind is int:
            return int(number) if number == int(number) and abs(number) < 2**63 else None
    except (TypeError, ValueError, OverflowError):
        return None
    return number


def read_config(raw: Mapping[str, Any]) -> Config:
    """A configuration from plain values, such as a file's or a checkpoint's.

    Raises:
        SettingError: an unknown name, or a value out of range.
    """
    return Config().with_(raw)


def parse_changes(given: Iterable[str]) -> dict[str, str]:
    """``["phi0=0.6", "rule=tps"]`` → names and texts; SettingError for what is no ``key=value``."""
    changes: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise SettingError(
                excerpt(text),
                f"{excerpt(text)!r} is not a setting: write key=value, as in phi0=0.6.",
            )
        if name not in KIND and name != FORMER:
            raise unknown(name)
        if name in changes:
            raise SettingError(name, f"{name} is given twice.")
        changes[name] = value.strip()
    return current(changes)


def to_json(config: Config) -> str:
    """The configuration as text, in the order of the fields."""
    return json.dumps(config.as_dict(), indent=2, ensure_ascii=False) + "\n"
