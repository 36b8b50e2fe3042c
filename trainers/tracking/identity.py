"""Under which name a tracker knows a run, and how far it has been told: in the run's folder."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppap.writing import writing
from trainers.tracking.about import ORDER


@dataclass
class Known:
    """What ``tracking/NAME.json`` says."""

    file: Path
    id: str = ""
    name: str = ""
    place: str = ""
    """To where ``upto`` has been sent."""
    upto: tuple[int, int] = (-1, 0)
    """The last line that was sent: its step, and its kind's place in a step."""

    @classmethod
    def of(cls, file: Path) -> Known:
        """As the file says; a new identity where there is none, or it makes no sense."""
        try:
            raw: Any = json.loads(file.read_text(encoding="utf-8"))
            known = cls(file, str(raw["id"]), str(raw["name"]), str(raw["place"]))
            step, kind = raw["upto"]
            known.upto = (int(step), int(kind))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return cls(file, secrets.token_hex(6))
        return known if known.id.isalnum() else cls(file, secrets.token_hex(6))

    def write(self) -> None:
        """Keep it."""
        content = {"id": self.id, "name": self.name, "place": self.place, "upto": self.upto}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with writing(self.file) as partial:
            partial.write_text(json.dumps(content) + "\n", encoding="utf-8")

    def at(self, place: str) -> None:
        """It is told at ``place`` from here on; elsewhere, what was sent counts for nothing."""
        if place != self.place or not place:
            self.place, self.upto = place, (-1, 0)

    def has(self, kind: str, step: int) -> bool:
        """Whether a line was sent before."""
        return place_of(kind, step) <= self.upto

    def sent(self, kind: str, step: int) -> None:
        """Note that a line has been sent. What stays here is told anew by each process instead."""
        if self.place:
            self.upto = place_of(kind, step)
            self.write()


def place_of(kind: str, step: int) -> tuple[int, int]:
    """Where a line stands among the others."""
    return step, ORDER.index(kind) if kind in ORDER else len(ORDER)
