"""What a studio lets in, and why something is refused. Nothing here answers; the guard does."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from ppap.studio.access.forwarding import PROXIED, Scope, header
from ppap.studio.access.hosts import Authority, Hosts, authority, origin_of, same_origin
from ppap.studio.access.passwords import Passwords

TOKEN = b"x-ppap-token"
# Files that are the same for everybody and tell nothing.
STATIC = ("/assets/", "/static/", "/svelte/", "/studio/static/", "/pwa_icon/")
STATIC_FILES = frozenset(
    {
        "/favicon.ico",
        "/manifest.json",
        "/pwa_icon",
        "/robots.txt",
        "/studio/plotly.min.js",
        "/theme.css",
        "/gradio_api/theme.css",
    }
)
# What answers before anybody has logged in: the page with the form, and what gradio asks itself.
OPEN = frozenset(
    {"/", "/login", "/logout", "/gradio_api/login_check", "/gradio_api/startup-events"}
)
UPLOADS = frozenset({"/gradio_api/upload", "/gradio_api/upload/"})
LOGIN = "/login"
READING = ("GET", "HEAD", "OPTIONS")


class Refusal(NamedTuple):
    """Why something is refused."""

    status: int
    text: str
    kind: str
    """For the page's script: host, origin, type, token, login, size or owner."""


@dataclass(frozen=True)
class Policy:
    """Who may ask the studio for what.

    A Hugging Face Space is everybody's: it has neither hosts nor, without logins, origins to check.
    """

    hosts: Hosts | None = None
    """None: it may be addressed by any name."""
    origins: bool = True
    """Whether requests that a browser sends must come from the studio's own pages."""
    behind_proxy: bool = False
    proxies: bool = False
    """Whether forwarding headers are left as they are, for gradio to read (on a Space)."""
    root: str = ""
    """``GRADIO_ROOT_PATH``."""
    passwords: Passwords | None = None
    """None: nobody has to log in."""
    frame: str = ""
    """A page that knows this may show the studio in a frame, as a notebook does that started it;
    empty: none may."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """Carried by the pages of this start; nobody else's page can read it."""

    def elsewhere(self, scope: Scope) -> Refusal | None:
        """Why the name that a request is addressed to is not the studio's."""
        if self.hosts is None:
            return None
        named = [value for key, value in scope["headers"] if key == b"host"]
        host = authority(named[0].decode("latin-1")) if len(named) == 1 else None
        if host is None:
            return Refusal(400, "The request must name one host.", "host")
        if host.name not in self.hosts:
            return Refusal(
                403,
                f"This studio does not answer to the name {host.name}. To allow it, start the "
                f"studio with --allowed-host {host.name}.",
                "host",
            )
        if self.passwords is None and scope.get(PROXIED):
            return Refusal(
                403,
                "This request came through a proxy. Start the studio with --behind-proxy if it is "
                "meant to be reached that way.",
                "host",
            )
        return None

    def framed(self, scope: Scope, path: str) -> bool:
        """Whether a request is for the page in a frame that may show it."""
        if not self.frame or path != "/" or scope["method"] not in ("GET", "HEAD"):
            return False
        given = dict(parse_qsl(scope["query_string"].decode("latin-1"))).get("frame", "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.frame.encode())

    def foreign(self, scope: Scope, path: str) -> Refusal | None:
        """Why a request comes from a page that is not the studio's."""
        if not self.origins or self._from_own_page(scope, path) or self.framed(scope, path):
            return None
        return Refusal(403, "Only the studio's own pages may ask for this.", "origin")

    def _from_own_page(self, scope: Scope, path: str) -> bool:
        headers = scope["headers"]
        host = authority(header(headers, b"host") or "") or Authority("", None)
        origin, site = header(headers, b"origin"), header(headers, b"sec-fetch-site")
        # A link to the studio may stand anywhere; a frame around it may not.
        follows_link = (
            path == "/"
            and scope["method"] in ("GET", "HEAD")
            and header(headers, b"sec-fetch-mode") in ("navigate", None)
            and header(headers, b"sec-fetch-dest") in ("document", None)
        )
        if origin is not None:
            return same_origin(origin, host) and site in (None, "same-origin", "none")
        if site is not None:
            return site in ("same-origin", "none") or follows_link
        referer = header(headers, b"referer")
        return referer is None or same_origin(origin_of(referer), host) or follows_link

    def unlike_ours(self, scope: Scope, path: str) -> Refusal | None:
        """Why a request that changes something does not look as the studio's pages send it."""
        if scope["method"] in READING:
            return None
        kind = (header(scope["headers"], b"content-type") or "").partition(";")[0].strip().lower()
        if path in UPLOADS:
            fits = kind == "multipart/form-data"
        elif path.rstrip("/") == LOGIN:
            fits = kind in ("multipart/form-data", "application/x-www-form-urlencoded")
        else:
            fits = kind == "application/json"
        if not fits:
            text = "Send JSON, with the header Content-Type: application/json."
            if path in UPLOADS or path.rstrip("/") == LOGIN:
                text = "Send a form."
            return Refusal(415, text, "type")
        if self.origins and path.rstrip("/") != LOGIN and from_browser(scope["headers"]):
            return self._without_token(scope)
        return None

    def _without_token(self, scope: Scope) -> Refusal | None:
        given = header(scope["headers"], TOKEN) or ""
        if hmac.compare_digest(given.encode("latin-1"), self.token.encode()):
            return None
        return Refusal(403, "The studio was restarted. Reload the page.", "token")


def from_browser(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a page sends this, not a script: browsers say so, and no page can prevent it."""
    return any(key == b"origin" or key.startswith(b"sec-fetch-") for key, _ in headers)


def is_static(method: str, path: str) -> bool:
    """Whether a request is for a file that is the same for everybody."""
    return method in ("GET", "HEAD") and (path in STATIC_FILES or path.startswith(STATIC))


def user_of(scope: Scope, app: Any) -> str:
    """Who logged in, by gradio's session; empty for nobody."""
    cookies: dict[str, str] = {}
    for key, value in scope["headers"]:
        if key == b"cookie":
            for part in value.decode("latin-1").split(";"):
                name, _, text = part.strip().partition("=")
                cookies.setdefault(name, text)
    for name in (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}"):
        if cookies.get(name):
            return str(app.tokens.get(cookies[name]) or "")
    return ""
