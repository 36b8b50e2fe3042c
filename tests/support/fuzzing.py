"""Calls that nobody means well with: every server function and endpoint, with any argument."""

from __future__ import annotations

import json
import random
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

# Names that requests have, so that nonsense comes further than the first check.
FIELDS = [
    "action",
    "anchor",
    "anchors",
    "are",
    "at",
    "axis",
    "backbone",
    "batch",
    "by",
    "checkpoint",
    "choice",
    "clusters",
    "colours",
    "config",
    "count",
    "crf",
    "cursor",
    "data",
    "features",
    "files",
    "folder",
    "format",
    "grid",
    "have",
    "images",
    "job",
    "key",
    "kind",
    "layer",
    "like",
    "look",
    "map",
    "memory",
    "mirror",
    "name",
    "names",
    "npz",
    "of",
    "opacity",
    "options",
    "output",
    "parameters",
    "path",
    "picture",
    "pictures",
    "predictions",
    "protocol",
    "query",
    "recipe",
    "recipes",
    "refine",
    "report",
    "retrieval",
    "rival",
    "rule",
    "run",
    "runs",
    "scales",
    "seed",
    "seeds",
    "set",
    "settings",
    "shifts",
    "show",
    "size",
    "sizes",
    "source",
    "split",
    "step",
    "starts",
    "style",
    "text",
    "train",
    "values",
    "what",
    "window",
    "x",
    "y",
    "phi0",
    "psi0",
    "sigma_pos",
    "sigma_amb",
    "steps",
    "k",
    "pool_size",
    "device",
    "epochs",
    "lr",
]
TEXTS = (
    "",
    "samples",
    "folder",
    "files",
    "embedded",
    "checkpoint",
    "../../../etc/passwd",
    "/etc/passwd",
    "~root",
    "/dev/zero",
    "file:///etc/passwd",
    "C:\\Windows\\System32",
    "a\0b",
    "\ud800",
    "x" * 5000,
    "<img src=x onerror=alert(1)>",
    "'; DROP TABLE runs; --",
    "$(touch /tmp/x)",
    "--help",
    "{{value}}",
    "%s%n{0}",
    "ﷺ" * 50,
    ".",
    "..",
    "con",
    ".git",
    "nan",
)
NUMBERS = (0, 1, -1, 2, 3, 0.5, -0.5, 63, 64, 65, 224, 448, 10**9, 10**18, -(10**18), 2**63, 1e300)


@dataclass
class Fuzzer:
    """Makes values; the same seed makes the same ones."""

    seed: int
    chance: random.Random = field(init=False)
    known: list[Any] = field(default_factory=list)
    """Values that mean something to the studio, such as keys that it gave out."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def value(self, depth: int = 0) -> Any:
        """Anything that JSON can hold."""
        kinds = ["text", "number", "plain", "known"] + ["list", "object"] * (2 if depth < 3 else 0)
        kind = self.chance.choice(kinds)
        if kind == "text":
            return self.chance.choice(TEXTS)
        if kind == "number":
            return self.chance.choice(NUMBERS)
        if kind == "known" and self.known:
            return self.chance.choice(self.known)
        if kind == "list":
            return [self.value(depth + 1) for _ in range(self.chance.choice((0, 1, 2, 70)))]
        if kind == "object":
            return {self.name(): self.value(depth + 1) for _ in range(self.chance.randrange(6))}
        return self.chance.choice((None, True, False))

    def name(self) -> str:
        """A field's name, now and then one that no request has."""
        if self.chance.random() < 0.9:
            return self.chance.choice(FIELDS)
        return "".join(self.chance.choices(string.printable, k=self.chance.randrange(1, 12)))

    def request(self, fields: list[str] | None = None) -> Any:
        """What a server function or an endpoint gets: mostly an object with fields it knows."""
        if self.chance.random() < 0.3:
            return self.value()
        names = self.chance.sample(fields or FIELDS, k=min(len(fields or FIELDS), 5))
        return {name: self.value(1) for name in names}


@dataclass(frozen=True)
class Endpoint:
    """One that scripts may call."""

    name: str
    parameters: int


class Caller:
    """Speaks to a studio as a script does."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.session = secrets.token_hex(8)
        # Proxies of the environment are none of these tests' business.
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def log_in(self, name: str, password: str) -> None:
        """As gradio's form does."""
        answer = self.client.post("/login", data={"username": name, "password": password})
        assert answer.status_code == 200, answer.text

    def functions(self) -> dict[str, int]:
        """Every server function, ``page.name``, and the component that has it."""
        components = self.client.get("/config").json()["components"]
        with_functions = [one for one in components if one["props"].get("server_fns")]
        pages = ("explore", "study", "train", "evaluate", "segment")
        return {
            f"{page}.{name}": one["id"]
            for page, one in zip(pages, with_functions, strict=True)
            for name in one["props"]["server_fns"]
        }

    def endpoints(self) -> list[Endpoint]:
        """Every documented endpoint."""
        named = self.client.get("/gradio_api/info").json()["named_endpoints"]
        return [
            Endpoint(name.strip("/"), len(about["parameters"])) for name, about in named.items()
        ]

    def call(self, function: str, component: int, argument: Any) -> httpx.Response:
        """Call a server function."""
        body = {
            "component_id": component,
            "fn_name": function.partition(".")[2],
            "data": argument,
            "session_hash": self.session,
        }
        # Python's own JSON writes lone surrogates and infinities, too.
        return self.client.post(
            "/gradio_api/component_server",
            content=json.dumps(body),
            headers={"Content-Type": "application/json"},
        )

    def ask(self, endpoint: str, data: list[Any]) -> Iterator[str]:
        """Call an endpoint; the lines of what comes back."""
        begun = self.client.post(
            f"/gradio_api/call/{endpoint}",
            content=json.dumps({"data": data}),
            headers={"Content-Type": "application/json"},
        )
        if begun.status_code != 200:
            yield f"status: {begun.status_code}"
            return
        where = f"/gradio_api/call/{endpoint}/{begun.json()['event_id']}"
        with self.client.stream("GET", where) as answer:
            yield from answer.iter_lines()
