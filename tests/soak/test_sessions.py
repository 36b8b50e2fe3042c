"""Fifty sessions of two users for a minute: every answer is right, and nothing is mixed."""

from __future__ import annotations

import io
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import ppap
from ppap.backbones import load_backbone
from ppap.batches import Batch, make_batch
from ppap.data import open_dataset
from tests.browser.driver import studio
from tests.soak.conftest import Tell
from tests.support.fuzzing import Caller
from tests.support.users import PASSWORDS, write_users

SESSIONS = 50
SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
SETTINGS: dict[str, Any] = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}
SIZE, IMAGES = 224, 4


def write_photos(folder: Path, colour: int) -> Path:
    """Pictures of one user: everything in a colour of his own."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(colour)
    for number in range(IMAGES):
        coarse = chance.integers(0, 120, (8, 8, 3)).astype(np.uint8)
        coarse[..., colour] += 120
        picture = Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number}.png")
    return folder


def by_the_library(folder: Path) -> Batch:
    """The same batch, computed here."""
    photos = open_dataset(folder)
    examples = [photos.load(number) for number in range(IMAGES)]
    return make_batch(examples, load_backbone("embedded"), size=SIZE)


class Session:
    """One page of a user: loads his pictures, and clicks."""

    def __init__(self, url: str, user: str, folder: Path, batch: Batch, others: list[str]) -> None:
        self.url, self.user, self.folder, self.batch = url, user, folder, batch
        self.others = others
        """Keys of the batches of all users, as they become known."""
        self.answers = self.refused = 0
        self.caller = Caller(url)
        # One after the other: many tries at once are what somebody does who guesses.
        self.caller.log_in(user, PASSWORDS[user])
        self.wrong: list[str] = []

    def run(self, until: float) -> None:
        """Click until then; what is wrong is kept."""
        try:
            self._run(self.caller, until)
        except Exception as error:
            self.wrong.append(f"{self.user}: {type(error).__name__}: {error}")

    def _run(self, caller: Caller, until: float) -> None:
        functions = caller.functions()

        def ask(name: str, argument: Any) -> dict[str, Any]:
            reply: dict[str, Any] = caller.call(name, functions[name], argument).json()
            return reply

        request: dict[str, Any] = {"source": "folder", "folder": str(self.folder), "split": "all"}
        request |= {"size": SIZE, "images": list(range(IMAGES))}
        job = ask("explore.load", request)["job"]
        while (told := ask("explore.progress", job)).get("state") != "done":
            assert "error" not in told, told
            time.sleep(0.05)
        key = told["result"]["batch"]
        self.others.append(f"{self.user} {key}")
        chance = random.Random(key)
        while time.monotonic() < until:
            self._click(ask, key, chance.randrange(len(self.batch.features)))
            self._look(caller, key)
            self._pry(ask, caller, chance)

    def _click(self, ask: Any, key: str, anchor: int) -> None:
        reply = ask("explore.gather", {"batch": key, "anchor": anchor, "settings": SETTINGS})
        steps = reply["view"]["steps"]
        sets = ppap.propagate(self.batch.features, torch.tensor([anchor]), **SETTINGS)
        for t, step in enumerate(steps):
            expected = int(sets.at(t).positive.sum())
            if step["positive"] != expected:
                self.wrong.append(f"{self.user}: |P| {step['positive']}, not {expected}")
        self.answers += 1

    def _look(self, caller: Caller, key: str) -> None:
        """The pictures are his own: their colour says whose they are."""
        answer = caller.client.get(f"/studio/batch/{key}.jpg")
        mean = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB")).mean((0, 1))
        if int(mean.argmax()) != USERS[self.user]:
            self.wrong.append(f"{self.user} was shown somebody else's pictures")
        self.answers += 1

    def _pry(self, ask: Any, caller: Caller, chance: random.Random) -> None:
        owner, key = chance.choice(list(self.others)).split()
        if owner == self.user:
            return
        reply = ask("explore.gather", {"batch": key, "anchor": 0, "settings": SETTINGS})
        picture = caller.client.get(f"/studio/batch/{key}.jpg")
        if "error" not in reply or picture.status_code < 400:
            self.wrong.append(f"{self.user} got at a batch of {owner}")
        self.refused += 1


USERS = {"ada": 0, "bob": 2}


def test_fifty_sessions_of_two_users(tmp_path: Path, tell: Tell) -> None:
    torch.set_num_threads(1)
    folders = {name: write_photos(tmp_path / name, colour) for name, colour in USERS.items()}
    batches = {name: by_the_library(folder) for name, folder in folders.items()}
    users = write_users(tmp_path / "users.txt")
    with studio(["--auth-file", str(users), "--runs", str(tmp_path / "runs")]) as running:
        known: list[str] = []
        names = [name for _ in range(SESSIONS // 2) for name in USERS]
        sessions = [Session(running.url, n, folders[n], batches[n], known) for n in names]
        until = time.monotonic() + SECONDS
        threads = [threading.Thread(target=one.run, args=(until,)) for one in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in sessions:
            one.caller.client.close()
        assert running.process.poll() is None
        assert "a request failed" not in running.log.read_text(errors="replace")
    wrong = [text for one in sessions for text in one.wrong]
    assert wrong == []
    answers, refused = sum(s.answers for s in sessions), sum(s.refused for s in sessions)
    tell(
        f"{SESSIONS} sessions of {len(USERS)} users for {SECONDS:.0f} s",
        f"{answers:,} answers, each checked; {refused:,} attempts at others' data, all refused",
    )
    assert answers > 10 * SESSIONS
    assert refused > SESSIONS
