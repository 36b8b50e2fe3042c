"""What the guard lets in: requests as browsers, scripts and attackers send them, to a stand-in for
gradio's application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from ppap.studio.access import guard as guards
from ppap.studio.access.guard import Guard
from ppap.studio.access.hosts import Hosts
from ppap.studio.access.options import Access
from ppap.studio.access.passwords import Passwords, add_user
from ppap.studio.access.policy import Policy
from ppap.studio.access.sessions import Sessions
from ppap.studio.access.visitor import current

OWN = "http://127.0.0.1:7860"
CALL = "/gradio_api/component_server"
UPLOAD = "/gradio_api/upload"
TOKEN = {"X-PPAP-Token": "the token of this start"}
PAGE = {"Origin": OWN, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", **TOKEN}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
# Addresses with something in them that is not everybody's.
READ = (
    "/config",
    "/gradio_api/info",
    "/gradio_api/file=/tmp/x",
    "/gradio_api/queue/data?session_hash=x",
    "/studio/batch/key.jpg",
    "/studio/segment/key.zip",
    "/studio/segment/key/0/photo",
    "/studio/report?key=x",
    "/studio/study/key/figure.svg",
    "/studio/run/name/1/0.png",
    "/openapi.json",
)
STATIC = (
    "/assets/index.js",
    "/static/img/x.svg",
    "/studio/static/shared/dom.js",
    "/studio/plotly.min.js",
    "/favicon.ico",
    "/theme.css",
    "/manifest.json",
)
WRITE = (CALL, f"{CALL}/", "/gradio_api/queue/join", "/gradio_api/call/delete_run",
         "/gradio_api/run/delete_run", "/gradio_api/cancel", "/gradio_api/reset")  # fmt: skip


def gradio() -> Any:
    """Answers everything, and says what it was asked and by whom."""

    async def echo(request: Request) -> Response:
        who = current()
        body = await request.body()
        answer = JSONResponse(
            {
                "path": request.scope["path"],
                "user": who.user,
                "address": who.address,
                "url": str(request.url),
                "size": len(body),
            },
            headers={"Cache-Control": "private, max-age=3600"},
        )
        if request.url.path == "/login":
            answer.set_cookie("access-token-c", "t", samesite="none", secure=True, httponly=True)
        return answer

    app: Any = Starlette(
        routes=[Route("/{rest:path}", echo, methods=["GET", "HEAD", "POST", "OPTIONS", "PUT"])]
    )
    app.cookie_id, app.tokens = "c", {"ada's": "ada", "bob's": "bob", "eve's": "eve"}
    return app


def visit(policy: Policy, *, address: str = "127.0.0.1", url: str = OWN) -> TestClient:
    made = Guard(gradio(), policy, Sessions(), lambda _: False)
    client = TestClient(made, base_url=url, client=(address, 5))
    for name in ("accept", "accept-encoding", "connection", "user-agent"):
        del client.headers[name]
    return client


def policy(**changes: Any) -> Policy:
    return Policy(**{"hosts": Hosts("127.0.0.1"), "token": TOKEN["X-PPAP-Token"], **changes})


@pytest.fixture
def studio() -> TestClient:
    """On loopback, without logins."""
    return visit(policy())


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Passwords:
    monkeypatch.setattr("ppap.studio.access.passwords.COST", 2**10)
    for name in ("ada", "bob"):
        add_user(tmp_path / "users", name, "x")
    return Passwords(tmp_path / "users")


@pytest.fixture
def closed(users: Passwords) -> TestClient:
    """With logins."""
    return visit(policy(passwords=users))


# --- scripts


@pytest.mark.parametrize("path", [*READ, *STATIC, "/"])
def test_a_script_on_this_machine_reads(studio: TestClient, path: str) -> None:
    assert studio.get(path).status_code == 200


@pytest.mark.parametrize("path", WRITE)
def test_a_script_on_this_machine_sends_json(studio: TestClient, path: str) -> None:
    assert studio.post(path, json={"data": "x"}).json()["size"] == 12
    typed = {"Content-Type": "application/json; charset=utf-8"}
    assert studio.post(path, content="{}", headers=typed).status_code == 200


@pytest.mark.parametrize("path", WRITE)
@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "text/plain;application/json", "text/json", "", None],
)  # fmt: skip
def test_nothing_but_json_is_taken(studio: TestClient, path: str, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    refused = studio.post(path, content='{"data": 1}', headers=headers)
    assert refused.status_code == 415
    assert refused.text == "Send JSON, with the header Content-Type: application/json."


def test_a_script_uploads_a_form_and_nothing_else(studio: TestClient) -> None:
    assert studio.post(UPLOAD, files={"files": b"x"}).status_code == 200
    assert studio.post(UPLOAD, json={}).status_code == 415


# --- frames


FRAME = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}


def test_only_who_knows_the_word_shows_the_page_in_a_frame() -> None:
    notebook = visit(policy(frame="the word"))
    shown = notebook.get("/?source=memory&frame=the+word", headers=FRAME)
    assert shown.status_code == 200
    assert "content-security-policy" not in shown.headers
    for address in ("/?frame=another", "/?frame=", "/", "/config?frame=the+word"):
        refused = notebook.get(address, headers=FRAME)
        assert refused.status_code == 403, address
    assert notebook.post("/?frame=the+word", json={}, headers=FRAME).status_code == 403
    usual = notebook.get("/")
    assert usual.headers["content-security-policy"] == "frame-ancestors 'self'"
    # Where there is no word, no frame may show it, whatever is sent.
    for address in ("/", "/?frame=", "/?frame=the+word"):
        assert visit(policy()).get(address, headers=FRAME).status_code == 403


# --- hosts


EVERYTHING = (*READ, *WRITE, UPLOAD, "/", "/login", "/logout", "/studio/token")
METHODS = ("GET", "HEAD", "POST", "OPTIONS", "PUT")


@pytest.mark.parametrize("method", METHODS)
def test_a_name_that_is_not_the_studio_s_is_refused(studio: TestClient, method: str) -> None:
    for path in EVERYTHING:
        headers = {"Host": "evil.example:7860", **TOKEN}
        refused = studio.request(method, path, headers=headers)
        assert refused.status_code == 403, path
        assert refused.headers["X-PPAP-Refused"] == "host"
    said = studio.get("/config", headers={"Host": "evil.example"}).text
    assert said == (
        "This studio does not answer to the name evil.example. To allow it, start the studio with "
        "--allowed-host evil.example."
    )


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1.evil.example", "localhost.evil.example", "0.0.0.0:7860", "10.0.0.1",
     "[fe80::1]:7860", "127.0.0.1-evil.example", "xn--lcalhost-e4a"],
)  # fmt: skip
def test_what_looks_like_the_studio_s_name_is_refused(studio: TestClient, host: str) -> None:
    assert studio.get("/config", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:7860", "LOCALHOST", "127.0.0.1:9", "[::1]:7860"])
def test_loopback_names_are_the_studio_s_on_any_port(studio: TestClient, host: str) -> None:
    assert studio.get("/config", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["", "a b", "evil@127.0.0.1", "127.0.0.1/x", "127.0.0.1,evil"])
def test_what_is_no_host_is_refused(studio: TestClient, host: str) -> None:
    assert studio.get("/config", headers={"Host": host}).status_code == 400


def test_two_hosts_are_none(studio: TestClient) -> None:
    twice = [("Host", "127.0.0.1"), ("Host", "evil.example")]
    assert studio.get("/config", headers=twice).status_code == 400


@pytest.mark.parametrize("path", STATIC)
def test_files_that_tell_nothing_are_for_everybody(studio: TestClient, path: str) -> None:
    foreign = {"Host": "evil.example", "Origin": "http://evil.example"}
    assert studio.get(path, headers=foreign).status_code == 200
    assert studio.post(path, json={}, headers=foreign).status_code == 403


def test_allowed_hosts_are_the_studio_s() -> None:
    named = visit(Access(hosts=("studio.example.org",)).policy("127.0.0.1"))
    assert named.get("/config", headers={"Host": "studio.example.org"}).status_code == 200
    assert named.get("/config", headers={"Host": "example.org"}).status_code == 403


# --- pages of others


def foreign(studio: TestClient, method: str, path: str, headers: dict[str, str]) -> None:
    kind = {"Content-Type": "application/json", "Access-Control-Request-Method": "POST"}
    refused = studio.request(method, path, headers={**headers, **TOKEN, **kind}, content=b"{}")
    assert refused.status_code == 403, (path, headers)
    assert refused.headers["X-PPAP-Refused"] == "origin"
    assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("method", METHODS)
def test_a_page_of_another_origin_is_refused(studio: TestClient, method: str) -> None:
    for path in EVERYTHING:
        foreign(studio, method, path, {"Origin": "http://127.0.0.1:8000"})


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:7860", "http://127.0.0.1", "file://", "",
     "http://127.0.0.1:7860.evil.example", "http://evil.example:7860", "http://[::1]:7860"],
)  # fmt: skip
def test_it_is_the_whole_origin_that_counts(studio: TestClient, origin: str) -> None:
    foreign(studio, "GET", "/config", {"Origin": origin})
    foreign(studio, "POST", CALL, {"Origin": origin})


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense", ""])
def test_a_browser_that_says_that_another_site_asks_is_believed(
    studio: TestClient, site: str
) -> None:
    picture = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    for path in (one for one in EVERYTHING if one != "/"):
        for others in (picture, LINK):
            foreign(studio, "GET", path, {**others, "Sec-Fetch-Site": site})
        foreign(studio, "POST", path, {"Sec-Fetch-Site": site})


def test_origin_and_site_must_agree(studio: TestClient) -> None:
    headers = {**PAGE, "Sec-Fetch-Site": "cross-site"}
    assert studio.post(CALL, json={}, headers=headers).status_code == 403


@pytest.mark.parametrize("path", [*READ, "/logout"])
def test_where_a_browser_says_no_more_the_referrer_counts(studio: TestClient, path: str) -> None:
    for referrer in ("http://evil.example/page", "http://127.0.0.1:8000/", "nonsense"):
        assert studio.get(path, headers={"Referer": referrer}).status_code == 403
    assert studio.get(path, headers={"Referer": f"{OWN}/?a=b"}).status_code == 200


def test_a_link_to_the_studio_may_stand_anywhere_but_a_frame_around_it_may_not(
    studio: TestClient,
) -> None:
    assert studio.get("/?batch=x", headers=LINK).status_code == 200
    assert studio.get("/", headers={"Referer": "http://evil.example/"}).status_code == 200
    for changes in (
        {"Sec-Fetch-Dest": "iframe"},
        {"Sec-Fetch-Dest": "embed"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    ):
        assert studio.get("/", headers={**LINK, **changes}).status_code == 403
    headers = studio.get("/", headers=LINK).headers
    assert headers["content-security-policy"] == "frame-ancestors 'self'"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", [*READ, "/", "/logout"])
def test_the_studio_s_own_page_reads(studio: TestClient, path: str) -> None:
    assert studio.get(path, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    assert studio.get(path, headers={"Sec-Fetch-Site": "none"}).status_code == 200


# --- the token


@pytest.mark.parametrize("path", WRITE)
def test_the_studio_s_own_page_sends_with_the_token(studio: TestClient, path: str) -> None:
    assert studio.post(path, json={}, headers=PAGE).status_code == 200


@pytest.mark.parametrize("path", WRITE)
@pytest.mark.parametrize("token", [None, "", "another", TOKEN["X-PPAP-Token"] + "x", "é"])
@pytest.mark.parametrize("marks", [{"Origin": OWN}, {"Sec-Fetch-Site": "same-origin"}])
def test_no_browser_sends_without_it(
    studio: TestClient, path: str, token: str | None, marks: dict[str, str]
) -> None:
    headers = [(key.encode(), value.encode()) for key, value in marks.items()]
    headers += [] if token is None else [(b"X-PPAP-Token", token.encode("latin-1"))]
    refused = studio.post(path, json={}, headers=headers)
    assert refused.status_code == 403
    assert refused.headers["X-PPAP-Refused"] == "token"


def test_uploads_of_a_page_need_it_too(studio: TestClient) -> None:
    files = {"files": b"x"}
    assert studio.post(UPLOAD, files=files, headers=PAGE).status_code == 200
    without = {key: value for key, value in PAGE.items() if key not in TOKEN}
    assert studio.post(UPLOAD, files=files, headers=without).status_code == 403


def test_the_token_is_another_with_every_start() -> None:
    first, second = Policy().token, Policy().token
    assert first != second
    assert len(first) >= 40


def test_only_the_studio_s_own_page_learns_the_token_anew(studio: TestClient) -> None:
    own = {"Sec-Fetch-Site": "same-origin", "X-PPAP-Token": "new"}
    assert studio.get("/studio/token", headers=own).json() == {"token": TOKEN["X-PPAP-Token"]}
    # A page of another origin cannot send that header without being asked about first.
    assert studio.get("/studio/token").status_code == 403
    assert studio.get("/studio/token", headers={"Sec-Fetch-Site": "none"}).status_code == 403


# --- logins


def cookie(user: str) -> dict[str, str]:
    return {"Cookie": f"a=b; access-token-unsecure-c={user}'s"}


@pytest.mark.parametrize("path", [*READ, "/gradio_api/token", "/gradio_api/user", "/studio/token"])
def test_nobody_reads_without_a_login(closed: TestClient, path: str) -> None:
    for headers in ({}, cookie("nobody"), {"Cookie": "access-token-c="}, {"Cookie": "=; ;a"}):
        refused = closed.get(path, headers={**headers, **TOKEN})
        assert refused.status_code == 401
        assert refused.headers["X-PPAP-Refused"] == "login"


@pytest.mark.parametrize("path", [*WRITE, "/gradio_api/heartbeat/x", "/gradio_api/stream/x"])
def test_nobody_sends_without_a_login(closed: TestClient, path: str) -> None:
    assert closed.post(path, json={}).status_code == 401
    assert closed.post(path, json={}, headers=PAGE).status_code == 401
    assert closed.post(UPLOAD, files={"files": b"x"}).status_code == 401


@pytest.mark.parametrize("path", [*STATIC, "/", "/login", "/logout", "/gradio_api/login_check"])
def test_the_page_with_the_form_comes_up(closed: TestClient, path: str) -> None:
    assert closed.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/config", "/studio/batch/key.jpg", "/gradio_api/token"])
def test_whoever_logged_in_reads_as_who_they_are(closed: TestClient, path: str) -> None:
    for user in ("ada", "bob"):
        answer = closed.get(path, headers=cookie(user))
        assert (answer.status_code, answer.json()["user"]) == (200, user)
        assert answer.headers["cache-control"] == "private, no-store"


def test_a_login_does_not_replace_the_token_or_the_origin(closed: TestClient) -> None:
    assert closed.post(CALL, json={}, headers=cookie("ada")).status_code == 200
    own = {**cookie("ada"), "Origin": OWN}
    assert closed.post(CALL, json={}, headers=own).status_code == 403
    foreign = {**cookie("ada"), **PAGE, "Origin": "http://127.0.0.1:8000"}
    assert closed.post(CALL, json={}, headers=foreign).status_code == 403
    assert closed.post(CALL, json={}, headers={**cookie("ada"), **PAGE}).status_code == 200


def test_a_user_who_was_removed_is_out_at_once(closed: TestClient, users: Passwords) -> None:
    assert closed.get("/config", headers=cookie("eve")).status_code == 401
    kept = [line for line in users.file.read_text().splitlines() if not line.startswith("bob:")]
    assert closed.get("/config", headers=cookie("bob")).status_code == 200
    users.file.write_text("\n".join(kept))
    assert closed.get("/config", headers=cookie("bob")).status_code == 401
    assert closed.get("/config", headers=cookie("ada")).status_code == 200


def test_the_session_is_not_sent_along_from_other_sites(closed: TestClient) -> None:
    made = closed.post("/login", data={"username": "ada", "password": "x"})
    assert "samesite=lax" in made.headers["set-cookie"].lower()


def test_a_form_logs_in_without_a_token_but_not_from_another_page(closed: TestClient) -> None:
    form = {"username": "ada", "password": "x"}
    assert closed.post("/login", data=form, headers={"Origin": OWN}).status_code == 200
    for origin in ("http://evil.example", "null"):
        assert closed.post("/login", data=form, headers={"Origin": origin}).status_code == 403
    assert closed.post("/login", json=form).status_code == 415


def test_sessions_and_events_stay_with_whom_they_began(closed: TestClient) -> None:
    def ask(user: str, method: str, path: str, **body: Any) -> int:
        json_body = body or None
        return closed.request(method, path, json=json_body, headers=cookie(user)).status_code

    assert ask("ada", "POST", "/gradio_api/queue/join", session_hash="hers") == 200
    assert ask("ada", "POST", "/gradio_api/cancel", event_id="event", session_hash="hers") == 200
    for path in (
        "/gradio_api/queue/data?session_hash=hers",
        "/gradio_api/heartbeat/hers",
        "/gradio_api/stream/hers/1/2/playlist.m3u8",
        "/gradio_api/call/list_runs/hers",
        "/gradio_api/call/v2/list_runs/event",
        "/gradio_api/call/list_runs/event",
    ):
        assert (ask("ada", "GET", path), ask("bob", "GET", path)) == (200, 403), path
    form = {"files": {"files": ("a.png", b"x")}, "headers": cookie("ada")}
    assert closed.post("/gradio_api/upload?upload_id=up", **form).status_code == 200  # type: ignore[arg-type]
    path = "/gradio_api/upload_progress?upload_id=up"
    assert (ask("ada", "GET", path), ask("bob", "GET", path)) == (200, 403)
    for path in (CALL, "/gradio_api/queue/join", "/gradio_api/cancel"):
        assert ask("bob", "POST", path, session_hash="hers", event_id="his") == 403
        assert ask("bob", "POST", path, session_hash="his", event_id="event") == 403
    assert ask("bob", "POST", CALL, session_hash="his") == 200


def test_one_user_s_many_sessions_do_not_push_out_another_s() -> None:
    sessions = Sessions()
    assert sessions.claim("hers", "ada")
    for number in range(10_000):
        sessions.claim(str(number), "bob")
    assert not sessions.claim("hers", "bob")


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"nonsense", b'{"session_hash": 5}', b"[" * 100_000, b"\xff"]
)
def test_a_body_that_is_no_object_has_no_ids(closed: TestClient, body: bytes) -> None:
    headers = {**cookie("ada"), "Content-Type": "application/json"}
    assert closed.post(CALL, content=body, headers=headers).json()["size"] == len(body)


# --- sizes


def test_a_request_has_an_end(studio: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "MOST_JSON", 1000)
    monkeypatch.setattr(guards, "MOST_LOGIN", 100)
    json_type = {"Content-Type": "application/json"}

    def pieces(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield b"x" * 100

    assert studio.post(CALL, content=b"x" * 1000, headers=json_type).json()["size"] == 1000
    assert studio.post(CALL, content=b"x" * 1001, headers=json_type).status_code == 413
    assert studio.post(CALL, content=pieces(10), headers=json_type).json()["size"] == 1000
    assert studio.post(CALL, content=pieces(11), headers=json_type).status_code == 413
    assert studio.post("/login", data={"password": "x" * 200}).status_code == 413
    assert studio.post(UPLOAD, files={"files": b"x" * 2000}).status_code == 200


# --- proxies


def test_forwarding_headers_change_nothing_where_there_is_no_proxy(users: Passwords) -> None:
    closed = visit(policy(passwords=users), address="10.0.0.9")
    spoofed = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "evil.example",
               "X-Forwarded-Proto": "https", "Forwarded": "for=127.0.0.1"}  # fmt: skip
    seen = closed.get("/config", headers={**cookie("ada"), **spoofed}).json()
    assert (seen["address"], seen["url"]) == ("10.0.0.9", f"{OWN}/config")


def test_a_proxy_that_nobody_spoke_of_is_refused(studio: TestClient, users: Passwords) -> None:
    through = {"X-Forwarded-For": "203.0.113.7"}
    refused = studio.get("/config", headers=through)
    assert refused.status_code == 403
    assert "Start the studio with --behind-proxy" in refused.text
    # With logins, nobody is let in for where they seem to be.
    closed = visit(policy(passwords=users))
    assert closed.get("/config", headers={**through, **cookie("ada")}).status_code == 200


def test_behind_a_proxy_it_says_who_asks_and_for_what() -> None:
    access = Access(behind_proxy=True, hosts=("studio.example.org",))
    client = visit(access.policy("127.0.0.1"))
    told = {"X-Forwarded-For": "127.0.0.1, 203.0.113.7", "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "studio.example.org"}  # fmt: skip
    seen = client.get("/config", headers=told).json()
    assert seen["address"] == "203.0.113.7"
    assert seen["url"] == "https://studio.example.org/config"
    own = {**told, "Origin": "https://studio.example.org"}
    assert client.get("/config", headers=own).status_code == 200
    assert client.get("/config", headers={**own, "Origin": OWN}).status_code == 403
    # A name that the proxy passes on unchecked is checked here.
    assert client.get("/config", headers={"X-Forwarded-Host": "evil.example"}).status_code == 403


# --- spaces


def test_a_space_goes_on_as_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    space = visit(Access(space=True).policy("0.0.0.0"))
    odd = {"Host": "user-name.hf.space", "Origin": "https://huggingface.co",
           "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}  # fmt: skip
    for path in ("/", *READ):
        answer = space.get(path, headers=odd)
        assert answer.status_code == 200
        assert "content-security-policy" not in answer.headers


def test_a_space_with_logins_lets_in_its_own_pages_only(users: Passwords) -> None:
    space = visit(Access(space=True, passwords=users).policy("0.0.0.0"))
    host = {"Host": "user-name.hf.space", **cookie("ada")}
    assert space.get("/config", headers=host).status_code == 200
    own = {**host, "Origin": "https://user-name.hf.space"}
    assert space.get("/config", headers=own).status_code == 200
    foreign = {**host, "Origin": "https://evil.example"}
    assert space.get("/config", headers=foreign).status_code == 403


# --- the root path


@pytest.mark.parametrize("strips", [True, False])
def test_a_root_path_reaches_gradio_as_it_knows_it(
    strips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_ROOT_PATH", "studio/")
    made = Access().policy("127.0.0.1")
    assert made.root == "/studio"
    own = {"/studio/static/shared/dom.js", "/studio/batch/x.jpg"}
    app = Guard(gradio(), made, Sessions(), own.__contains__)
    client = TestClient(app, base_url=OWN)
    for path in (*own, "/config", "/"):
        sent = path if strips else f"/studio{path}"
        assert client.get(sent).json()["path"] == f"/studio{path}"


def test_a_whole_address_as_root_path_is_a_host_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ROOT_PATH", "https://lab.example.org/ppap/")
    client = visit(Access().policy("127.0.0.1"))
    for path in ("/config", "/ppap/config"):
        seen = client.get(path, headers={"Host": "lab.example.org"}).json()
        assert seen["path"] == "/config"


# --- other kinds of requests


def test_there_are_no_websockets(studio: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect) as end, studio.websocket_connect("/config"):
        pass
    assert end.value.code == 1008


def test_the_page_s_script_knows_the_headers_of_the_guard() -> None:
    script = Path(guards.__file__).parents[3] / "assets/studio/shared/token.js"
    text = script.read_text()
    assert json.dumps("X-PPAP-Token") in text
    assert json.dumps("X-PPAP-Refused") in text
    assert guards.TOKEN_PATH == "/studio/token"
    assert text.count("TOKEN") == 1
