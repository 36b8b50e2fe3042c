"""What pages of others can do to the studio in a real browser, and what its own still can."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from ppap.studio.access.passwords import add_user
from tests.browser.driver import CHROMIUM, Running, ready, studio
from tests.support.small_studio import draw

TABS = ("Study", "Train", "Evaluate", "Segment", "Explore")


@contextlib.contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on this machine; its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


class Quiet(BaseHTTPRequestHandler):
    """Answers with an empty page."""

    page = b"<!doctype html><title>Somebody else's page</title><body></body>"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page)

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacked") / "runs"


@pytest.fixture(scope="module")
def attacked(runs: Path) -> Iterator[Running]:
    with studio(["--runs", str(runs)]) as running:
        yield running


@pytest.fixture
def run(runs: Path) -> Path:
    """A run with a checkpoint, that somebody would miss."""
    folder = runs / "precious"
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"recipe": "samples"}')
    (folder / "checkpoints" / "last.pt").write_bytes(b"weeks of work")
    return folder


@pytest.fixture
def delete_it(attacked: Running) -> dict[str, Any]:
    """What deletes that run, if the studio is asked for it."""
    with urllib.request.urlopen(f"{attacked.url}config") as answer:
        components = json.load(answer)["components"]
    train = [one["id"] for one in components if "act" in (one["props"].get("server_fns") or ())]
    return {
        "data": {"action": "delete", "name": "precious"},
        "component_id": train[0],
        "fn_name": "act",
        "session_hash": "x",
    }


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


# Every way in which a page can send something elsewhere. Each resolves, whatever comes of it.
SEND = """
async ([url, body]) => {
  const call = `${url}gradio_api/component_server`;
  const tries = [];
  const said = [];
  for (const mode of ['no-cors', 'cors']) {
    for (const type of ['text/plain', 'application/json', 'multipart/form-data; boundary=x']) {
      for (const credentials of ['include', 'omit']) {
        tries.push(fetch(call, { method: 'POST', mode, credentials, headers: { 'Content-Type': type }, body }));
      }
    }
  }
  tries.push(fetch(call, { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-PPAP-Token': 'guessed' }, body }));
  tries.push(fetch(`${url}studio/token`, { headers: { 'X-PPAP-Token': 'x' } }));
  tries.push(fetch(`${url}config`), fetch(`${url}config`, { mode: 'no-cors' }), fetch(url));
  for (const each of await Promise.allSettled(tries)) {
    if (each.status === 'fulfilled' && each.value.type !== 'opaque') said.push(each.value.status);
  }
  said.push(navigator.sendBeacon(call, body) ? 0 : -1);
  // A form, as 1995 knew them: what it sends is JSON with an equals sign in it.
  const frame = document.createElement('iframe');
  frame.name = `sink${document.querySelectorAll('iframe').length}`;
  document.body.append(frame);
  const form = document.createElement('form');
  Object.assign(form, { method: 'POST', action: call, target: frame.name, enctype: 'text/plain' });
  const field = document.createElement('input');
  field.name = body.slice(0, -1) + ',"x":"';
  field.value = '"}';
  form.append(field);
  document.body.append(form);
  await new Promise((done) => { frame.onload = done; form.submit(); });
  // What can be had by pictures and scripts.
  const loads = (tag, address) => new Promise((done) => {
    const element = document.createElement(tag);
    element.onload = () => done(true);
    element.onerror = () => done(false);
    element.src = address;
    document.body.append(element);
  });
  said.push(await loads('script', `${url}config`) ? 200 : 0);
  said.push(await loads('script', url) ? 200 : 0);
  return said;
}
"""


def test_a_foreign_page_cannot_touch_the_studio(
    attacked: Running, context: BrowserContext, run: Path, delete_it: dict[str, Any]
) -> None:
    with listening(Quiet) as foreign:
        for host in ("127.0.0.1", "localhost"):
            page = context.new_page()
            page.goto(foreign.replace("127.0.0.1", host))
            for target in ("127.0.0.1", "localhost"):
                url = attacked.url.replace("127.0.0.1", target)
                said = page.evaluate(SEND, [url, json.dumps(delete_it)])
                # Nothing it could read was answered; of what it could not read, nothing was done.
                assert 200 not in said
                assert (run / "checkpoints" / "last.pt").read_bytes() == b"weeks of work"
            page.close()


def test_the_same_call_works_from_the_studio_s_own_page(
    attacked: Running, context: BrowserContext, run: Path, delete_it: dict[str, Any]
) -> None:
    page = context.new_page()
    page.goto(attacked.url)
    ready(page)
    send = """async (body) => {
      const headers = { 'Content-Type': 'application/json' };
      const answer = await fetch('gradio_api/component_server', { method: 'POST', headers, body });
      return [answer.status, await answer.text()];
    }"""
    status, said = page.evaluate(send, json.dumps(delete_it))
    assert (status, json.loads(said)["contents"]["checkpoints"] >= 0) == (200, True)
    assert not run.exists()


def test_a_frame_around_the_studio_stays_empty(attacked: Running, context: BrowserContext) -> None:
    page = context.new_page()
    with listening(Quiet) as foreign:
        page.goto(foreign)
        with page.expect_response(attacked.url) as answered:
            page.evaluate(
                """(url) => {
                  const frame = document.createElement('iframe');
                  frame.src = url;
                  document.body.append(frame);
                }""",
                attacked.url,
            )
        assert answered.value.status == 403


def test_a_name_that_is_made_to_point_here_reads_nothing(
    attacked: Running, playwright: Playwright
) -> None:
    # The page came from evil.test, whose name then was made to point to this machine: for the
    # browser, the studio is the same origin.
    port = attacked.url.rstrip("/").rpartition(":")[2]
    browser = playwright.chromium.launch(
        executable_path=CHROMIUM,
        args=["--no-sandbox", "--host-resolver-rules=MAP evil.test 127.0.0.1"],
    )
    try:
        page = browser.new_page()
        answer = page.goto(f"http://evil.test:{port}/")
        assert answer
        assert answer.status == 403
        assert "This studio does not answer to the name evil.test." in page.inner_text("body")
        read = """async (path) => {
          const answer = await fetch(path);
          return [answer.status, await answer.text()];
        }"""
        for path in ("/config", "/gradio_api/info", "/studio/token", "/studio/report?key=x", "/"):
            status, text = page.evaluate(read, path)
            assert status == 403
            assert "X-PPAP-Token" not in text
            assert "components" not in text
    finally:
        browser.close()


def test_a_page_that_is_open_while_the_studio_starts_anew_goes_on(
    attacked: Running, context: BrowserContext
) -> None:
    page = context.new_page()
    page.goto(attacked.url)
    ready(page)
    sent = []
    page.on("request", lambda request: sent.append(request.headers.get("x-ppap-token")))
    # What it carries is no longer known: as after a new start.
    with page.expect_response("**/studio/token") as renewed:
        page.evaluate(
            """() => {
              const answers = window.fetch;
              window.again = () => answers('gradio_api/reset', {
                method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' });
            }"""
        )
        page.route(
            "**/gradio_api/reset",
            lambda route: route.continue_(
                headers={**route.request.headers, "x-ppap-token": "of an earlier start"}
            ),
            times=1,
        )
        page.evaluate("window.again()")
    assert renewed.value.status == 200
    assert page.evaluate("window.again().then((answer) => answer.status)") != 403


# --- logins


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("closed")
    for name in ("ada", "bob"):
        add_user(root / "users.txt", name, f"{name}'s password")
    with studio(["--auth-file", str(root / "users.txt"), "--runs", str(root / "runs")]) as running:
        yield running


def log_in(context: BrowserContext, url: str, name: str) -> Page:
    page = context.new_page()
    page.goto(url)
    page.locator("input[type=password]").fill(f"{name}'s password")
    page.locator("input").first.fill(name)
    page.get_by_role("button", name="Login").click()
    ready(page)
    return page


def test_a_user_logs_in_works_in_every_tab_and_logs_out(
    closed: Running, context: BrowserContext, tmp_path: Path
) -> None:
    failed: list[str] = []
    page = context.new_page()
    page.goto(closed.url)
    expect(page.get_by_text("PPAP Studio. After five wrong passwords")).to_be_visible()
    page.locator("input").first.fill("ada")
    page.locator("input[type=password]").fill("a guess")
    page.get_by_role("button", name="Login").click()
    expect(page.get_by_text("Incorrect")).to_be_visible()
    page.close()
    page = log_in(context, closed.url, "ada")
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("response", lambda got: failed.append(got.url) if got.status >= 400 else None)
    for name in TABS:
        page.get_by_role("tab", name=name, exact=True).click()
        expect(page.locator(f"#{name.lower()}")).not_to_contain_text("Loading the studio")
    # Uploads carry the token, too.
    page.get_by_role("tab", name="Explore", exact=True).click()
    page.get_by_role("radio", name="Your images").click()
    page.locator("#explore .batch input[type=file][multiple]").set_input_files(
        draw(tmp_path / "mine.png", 1, 128)
    )
    expect(page.locator("#explore")).to_contain_text("1 image")
    ready(page)
    assert failed == []
    page.get_by_role("link", name="Log out").click()
    expect(page.locator("input[type=password]")).to_be_visible()
    with_nothing = page.evaluate("fetch('config').then((answer) => answer.status)")
    assert with_nothing == 401


def test_a_foreign_page_cannot_use_a_login(closed: Running, context: BrowserContext) -> None:
    log_in(context, closed.url, "bob")
    with listening(Quiet) as foreign:
        page = context.new_page()
        page.goto(foreign)
        said = page.evaluate(SEND, [closed.url, '{"fn_name":"act","component_id":3}'])
        assert 200 not in said


# --- a root path


class Stripping(BaseHTTPRequestHandler):
    """A proxy that shows the studio under /studio and strips that, as nginx often is told to."""

    target = ""

    def do_GET(self) -> None:
        self.forward(None)

    def do_POST(self) -> None:
        self.forward(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def forward(self, body: bytes | None) -> None:
        if not self.path.startswith("/studio/"):
            self.send_error(404)
            return
        headers = {name: value for name, value in self.headers.items() if name != "Connection"}
        url = self.target + self.path.removeprefix("/studio/")
        asked = urllib.request.Request(url, body, headers, method=self.command)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            answer = opener.open(asked, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            self.close_connection = True
            with contextlib.suppress(OSError):
                while piece := answer.read1(65536):
                    self.wfile.write(piece)
                    self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        return


def test_the_studio_works_under_a_prefix_that_a_proxy_strips(
    context: BrowserContext, tmp_path: Path
) -> None:
    failed: list[str] = []
    arguments = ["--behind-proxy", "--no-auth", "--runs", str(tmp_path / "runs")]
    with (
        studio(arguments, {"GRADIO_ROOT_PATH": "/studio"}) as running,
        listening(type("Proxy", (Stripping,), {"target": running.url})) as proxy,
    ):
        page = context.new_page()
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.on(
            "response",
            lambda got: (
                failed.append(got.url) if got.status >= 400 and "manifest" not in got.url else None
            ),
        )
        page.goto(f"{proxy}studio/")
        ready(page)
        for name in TABS:
            page.get_by_role("tab", name=name, exact=True).click()
            expect(page.locator(f"#{name.lower()}")).not_to_contain_text("Loading the studio")
        # Nobody is local behind a proxy: no file of this machine can be named.
        expect(page.locator("#evaluate")).not_to_contain_text("Checkpoint file…")
        evaluate = page.locator("#evaluate")
        expect(evaluate.get_by_label("Checkpoint file on this server")).to_be_hidden()
        expect(page.locator("#evaluate")).to_contain_text("No checkpoint yet")
        page.close()
    assert failed == []
