"""A studio with logins as scripts and browsers meet it: two users, whose things are never mixed."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError, AuthenticationError  # type: ignore[import-untyped]
from PIL import Image

from ppap.studio.access.attempts import BOTH
from ppap.studio.access.passwords import add_user
from tests.browser.driver import Running, studio
from trainers.runs.owner import owner_of, write_owner

pytestmark = pytest.mark.slow

PASSWORDS = {"ada": "ada's password", "bob": "bob's password", "cleo": "cleo's password"}
PAGES = ("explore", "study", "train", "evaluate", "segment")
CALL = "/gradio_api/component_server"
JSON = {"Content-Type": "application/json"}


def photo(seed: int) -> bytes:
    made = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(noise).save(made, "PNG")
    return made.getvalue()


class User:
    """Somebody who logged in, as a script."""

    def __init__(self, url: str, name: str) -> None:
        # Proxies of the environment are none of these tests' business.
        self.client = httpx.Client(base_url=url, timeout=120, trust_env=False)
        form = {"username": name, "password": PASSWORDS[name]}
        assert self.client.post("/login", data=form).status_code == 200
        components = self.client.get("/config").json()["components"]
        having = [one["id"] for one in components if one["props"].get("server_fns")]
        self.components = dict(zip(PAGES, having, strict=True))

    def __enter__(self) -> User:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def ask(self, function: str, argument: Any = None) -> dict[str, Any]:
        """Call a server function, ``page.name``."""
        page, _, name = function.partition(".")
        body = {"component_id": self.components[page], "fn_name": name, "data": argument}
        answer = self.client.post(CALL, json={**body, "session_hash": f"session of {id(self)}"})
        assert answer.status_code == 200, answer.text
        reply: dict[str, Any] = answer.json()
        return reply

    def done(self, page: str, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Load or segment to the end: the job, and what came of it."""
        begun = self.ask(f"{page}.load", request)
        if "error" in begun:
            return "", begun
        for _ in range(3000):
            reply = self.ask(f"{page}.progress", begun["job"])
            if "error" in reply or reply["state"] == "done":
                return begun["job"], reply.get("result", reply)
            time.sleep(0.05)
        raise AssertionError(reply)

    def upload(self, seed: int) -> dict[str, str]:
        """Upload a picture; the file as requests name it."""
        files = {"files": ("a.png", photo(seed), "image/png")}
        answer = self.client.post("/gradio_api/upload", files=files)
        assert answer.status_code == 200, answer.text
        return {"path": answer.json()[0], "name": "a.png"}

    def status(self, path: str) -> int:
        """What fetching an address comes to."""
        return self.client.get(path).status_code


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("users") / "users.txt"
    for name, password in PASSWORDS.items():
        add_user(file, name, password)
    return file


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "runs"
    for name, owner in (("adas", "ada"), ("old", "")):
        folder = root / name
        (folder / "pictures").mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"recipe": "samples"}))
        write_owner(folder, owner)
    return root


@pytest.fixture(scope="module")
def running(users: Path, runs: Path) -> Iterator[Running]:
    with studio(["--auth-file", str(users), "--private-runs", "--runs", str(runs)]) as made:
        yield made
        assert "Traceback" not in made.log.read_text()


@pytest.fixture(scope="module")
def ada(running: Running) -> Iterator[User]:
    with User(running.url, "ada") as user:
        yield user


@pytest.fixture(scope="module")
def bob(running: Running) -> Iterator[User]:
    with User(running.url, "bob") as user:
        yield user


def test_nothing_is_answered_without_a_login(running: Running) -> None:
    with httpx.Client(base_url=running.url, timeout=60, trust_env=False) as client:
        for path in ("/config", "/gradio_api/info", "/studio/batch/x.jpg", "/openapi.json",
                     "/studio/report?key=x", "/gradio_api/queue/status"):  # fmt: skip
            assert client.get(path).status_code == 401, path
        assert client.post(CALL, json={}).status_code == 401
        assert client.post("/gradio_api/upload", files={"files": b"x"}).status_code == 401
        assert client.post("/gradio_api/call/list_runs", json={"data": [False]}).status_code == 401
        page = client.get("/")
        assert page.status_code == 200
        # Neither the token nor anything of the pages is in what comes before the login.
        for part in ("X-PPAP-Token", "server_fns"):
            assert part not in page.text
        assert client.get("/studio/static/shared/dom.js").status_code == 200


def test_gradio_client_needs_a_login_and_goes_on_with_one(
    running: Running, runs: Path, tmp_path: Path
) -> None:
    with pytest.raises(AuthenticationError):
        Client(running.url, verbose=False)
    client = Client(
        running.url, verbose=False, auth=("bob", PASSWORDS["bob"]), download_files=tmp_path
    )
    file = tmp_path / "b.png"
    file.write_bytes(photo(3))
    done = client.predict(
        [handle_file(str(file))], size=224, clusters=2, api_name="/segment_images"
    )
    assert Path(done).read_bytes()[:2] == b"PK"
    assert [one["name"] for one in client.predict(api_name="/list_runs")["runs"]] == ["old"]
    # The folders of the server, without what is others'.
    listed = client.predict(str(tmp_path.parent), filter=tmp_path.name, api_name="/browse")
    assert [one["where"] for one in listed["entries"]] == [str(tmp_path)]
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in (1, 2):
        (photos / f"{seed}.png").write_bytes(photo(seed))
    looked = client.predict(str(photos), api_name="/look_at_folder")
    assert (looked["text"], len(looked["thumbnails"])) == ("2 images without labels", 2)
    with pytest.raises(AppError, match="There is no folder"):
        client.predict(str(runs / "adas"), api_name="/browse")
    done = client.predict(str(photos), size=224, clusters=2, api_name="/segment_folder")
    with zipfile.ZipFile(done) as archive:
        assert {"labels/1.png", "labels/2.png"} <= set(archive.namelist())
    client.close()


def test_an_upload_is_its_user_s_by_address_and_by_name(ada: User, bob: User) -> None:
    file = ada.upload(1)
    address = f"/gradio_api/file={file['path']}"
    assert (ada.status(address), bob.status(address)) == (200, 403)
    # Not even whoever has the same picture learns where hers lies.
    assert bob.upload(1)["path"] != file["path"]
    for page, more in (("explore", {}), ("segment", {"clusters": 2})):
        request = {"source": "files", "size": 224, "files": [file], **more}
        _, reply = bob.done(page, request)
        assert reply["error"] == "a.png was not uploaded to this studio."
        assert "error" not in ada.done(page, request)[1]


def test_a_batch_is_its_user_s_by_page_and_by_address(ada: User, bob: User) -> None:
    files = [ada.upload(2)]
    job, batch = ada.done("explore", {"source": "files", "size": 224, "files": files})
    key = batch["picture"].rpartition("/")[2].removesuffix(".jpg")
    anchor = {"batch": key, "anchor": 0, "settings": {}}
    assert (ada.status(f"/{batch['picture']}"), bob.status(f"/{batch['picture']}")) == (200, 404)
    for function, argument in (
        ("explore.progress", job),
        ("explore.recall", key),
        ("explore.gather", anchor),
        ("explore.preview", {"batch": key, "anchor": 0, "phi0": 0.5}),
        ("explore.suggest", {"batch": key, "aim": "pure"}),
        ("explore.map", {"batch": key}),
        ("explore.describe", {"batch": key, "what": "lengths"}),
        ("explore.take", {**anchor, "format": "png", "step": 0}),
        ("explore.load", {"source": "files", "size": 224, "of": key}),
    ):
        said = bob.ask(function, argument).get("error", "")
        wanted = "has expired" if function == "explore.progress" else "no longer"
        assert wanted in said, (function, said)
    assert "error" not in ada.ask("explore.recall", key)


def test_segments_are_their_user_s_by_page_and_by_address(ada: User, bob: User) -> None:
    request = {"source": "files", "size": 224, "clusters": 2, "files": [ada.upload(4)]}
    job, result = ada.done("segment", request)
    photo_at, map_at = result["pictures"][0]["photo"], result["layers"][0]["maps"][0]
    archive = ada.ask("segment.take", {"result": result["result"]})["url"]
    for address in (photo_at, map_at, archive):
        assert (ada.status(f"/{address}"), bob.status(f"/{address}")) == (200, 404), address
    for function, argument in (
        ("segment.progress", job),
        ("segment.take", {"result": result["result"]}),
        ("segment.load", {**request, "files": [], "of": result["set"]}),
    ):
        wanted = "has expired" if function == "segment.progress" else "no longer"
        assert wanted in bob.ask(function, argument).get("error", ""), function


def test_events_of_scripts_are_their_user_s(ada: User, bob: User) -> None:
    begun = ada.client.post("/gradio_api/call/list_runs", json={"data": [False]}).json()["event_id"]
    address = f"/gradio_api/call/list_runs/{begun}"
    assert bob.status(address) == 403
    cancel = {"event_id": begun, "session_hash": "his", "fn_index": 0}
    assert bob.client.post("/gradio_api/cancel", json=cancel).status_code == 403
    said = ada.client.get(address).text
    assert '"name": "adas"' in said.replace('"name":"adas"', '"name": "adas"')
    for path in ("/gradio_api/heartbeat/", "/gradio_api/queue/data?session_hash="):
        assert bob.status(f"{path}session of {id(ada)}") == 403


def test_what_scripts_download_is_their_user_s(ada: User, bob: User) -> None:
    images = ["samples", 224, "embedded", "", "train", 8, 0, "", None]
    data = [*images, "", "", 0, "", "", "", "square"]
    batch = result_of(ada, "load_batch", data)["batch"]
    usual = ["png", -1, 0.5, 0.2, 3, 3, 2, "", None, "sets", 0.6, False, None, "", "", None, None]
    made = result_of(ada, "save", [batch, 0, 1, 1, *usual])
    address = f"/gradio_api/file={made['path']}"
    assert (ada.status(address), bob.status(address)) == (200, 403)


def result_of(user: User, endpoint: str, data: list[Any]) -> dict[str, Any]:
    answer = user.client.post(f"/gradio_api/call/{endpoint}", json={"data": data})
    event = answer.json()["event_id"]
    lines = user.client.get(f"/gradio_api/call/{endpoint}/{event}").text.splitlines()
    last = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")][-1]
    found: dict[str, Any] = json.loads(last)[0]
    return found


def test_private_runs_are_seen_and_touched_by_whoever_started_them(
    ada: User, bob: User, runs: Path
) -> None:
    def names(user: User) -> set[str]:
        return {one["name"] for one in user.ask("train.watch", {})["runs"]}

    assert (names(ada), names(bob)) == ({"adas", "old"}, {"old"})
    for function, argument in (
        ("train.details", "adas"),
        ("train.search", {"name": "adas", "words": "x"}),
        ("train.compare", ["adas", "old"]),
        ("train.finer", {"name": "adas", "from": 0, "to": 9}),
        ("train.notes", {"name": "adas"}),
        ("train.notes", {"name": "adas", "tags": ["mine"]}),
        ("train.queue", {"action": "move", "name": "adas", "to": "first"}),
        *(
            ("train.act", {"action": action, "name": "adas", "new_name": "mine"})
            for action in ("contents", "stop", "kill", "resume", "rename", "delete")
        ),
    ):
        said = bob.ask(function, argument)["error"]
        assert said == "There is no run called adas.", function
    assert bob.ask("train.predictions", ["adas"]) == {"runs": []}
    assert bob.ask("train.watch", {"watch": [{"name": "adas", "log": True}]})["changes"] == {}
    images = {"recipe": "own", "data": str(runs / "adas/pictures"), "settings": {}}
    plan = {"name": "plan", "recipe": "own", "seeds": "0", "grid": "", "data": images["data"]}
    for function, request in (
        ("train.suggest", images),
        ("train.inspect", {**images, "name": "mine"}),
        ("study.plan_ablation", plan),
    ):
        assert "There is no folder" in str(bob.ask(function, request)), function
    # Their pauses hold back their own.
    bob.ask("train.queue", {"action": "pause"})
    assert ada.ask("train.queue", {"action": "look"})["queue"]["since"] is None
    assert bob.ask("train.queue", {"action": "resume"})["queue"]["since"] is None
    assert bob.status("/studio/run/adas/1/0.png") == 404
    assert bob.status("/studio/report?key=adas") == 404
    assert (runs / "adas" / "config.json").exists()


def test_studies_and_evaluations_under_way_are_their_user_s(
    ada: User, bob: User, runs: Path
) -> None:
    small = {"data": "samples", "images": 2, "anchors": 5, "size": 64, "sweep": False}
    begun = ada.ask("study.start", small)
    key = begun["current"]["key"] if "current" in begun else begun["key"]
    assert bob.ask("study.status")["current"] is None
    assert bob.ask("study.cancel")["current"] is None
    refused = bob.ask("study.start", small)
    assert refused.get("error") == "Another user's job is running. Wait until it has finished."
    assert owner_of(runs / ".studies" / key) == "ada"
    assert ada.ask("study.status")["current"]["key"] == key
    ada.ask("study.cancel")
    for _ in range(1200):
        current = ada.ask("study.status")["current"]
        if current["state"] != "running":
            break
        time.sleep(0.05)
    assert current["state"] == "cancelled", current
    # What it left behind goes, whose ever it was.
    assert not (runs / ".studies" / key).exists()


def test_one_user_s_loads_push_out_no_other_s(ada: User, bob: User) -> None:
    job, _ = ada.done("explore", {"size": 224})
    for number in range(250):
        bob.ask("explore.load", {"size": 224, "page": f"page {number}"})
    assert ada.ask("explore.progress", job)["state"] == "done"


def test_a_login_ends_for_good(running: Running) -> None:
    with User(running.url, "cleo") as cleo:
        assert cleo.status("/config") == 200
        kept = dict(cleo.client.cookies)
        cleo.client.get("/logout")
    again = httpx.get(f"{running.url}config", cookies=kept, trust_env=False)
    assert again.status_code == 401


def test_passwords_cannot_be_tried_at_will(running: Running) -> None:
    def try_it(name: str, password: str, **headers: str) -> httpx.Response:
        form = {"username": name, "password": password}
        url = f"{running.url}login"
        return httpx.post(url, data=form, headers=headers, timeout=60, trust_env=False)

    tried = [
        # Where one seems to come from changes nothing.
        try_it("cleo", f"wrong {n}", **{"X-Forwarded-For": f"10.0.0.{n}"}).status_code
        for n in range(BOTH + 2)
    ]
    assert tried == [400] * BOTH + [429] * 2
    # Not even with the right one.
    late = try_it("cleo", PASSWORDS["cleo"])
    assert late.status_code == 429
    assert 0 < int(late.headers["Retry-After"]) <= 900
    assert late.json()["detail"] == "Too many wrong passwords. Try again in 15 minutes."
    assert try_it("bob", PASSWORDS["bob"]).status_code == 200
