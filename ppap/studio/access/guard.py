"""Stands before the whole studio: nothing answers a request that has not passed here."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Match

from ppap.studio.access import policy as rules
from ppap.studio.access.forwarding import Scope, header, straightened
from ppap.studio.access.policy import Policy, Refusal
from ppap.studio.access.prefix import at, meant, path_of
from ppap.studio.access.sessions import LONGEST, Sessions
from ppap.studio.access.visitor import Visitor, asking

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

TOKEN_PATH = "/studio/token"
# A page's request is a few kilobytes; uploads have a limit of their own.
MOST_JSON, MOST_LOGIN = 16 * 2**20, 16 * 2**10
# Ids in addresses that belong to whoever was given them.
WITH_ID = ("/gradio_api/heartbeat/", "/gradio_api/call/", "/gradio_api/stream/")
IN_BODY = ("session_hash", "event_id")
IN_QUERY = (*IN_BODY, "upload_id")


class Guard:
    """Refuses what the policy does not let in, and says who asks to everything behind it.

    Args:
        app: gradio's application.
        policy: what is let in.
        sessions: whose gradio's sessions and events are.
        own: whether the studio itself has something at a path.
    """

    def __init__(
        self,
        app: Any,
        policy: Policy,
        sessions: Sessions,
        own: Callable[[str], bool],
    ) -> None:
        self.app, self.policy, self.sessions, self._own = app, policy, sessions, own
        self._prefix = path_of(policy.root)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":  # the studio has none
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "http":
            if not self.policy.proxies:
                scope = straightened(scope, behind_proxy=self.policy.behind_proxy)
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = meant(scope["path"], self._prefix, self._own, self._known)
        whole_address = self.policy.root != self._prefix
        inside = at(scope, path if whole_address else self._prefix + path)
        if rules.is_static(scope["method"], path):
            await self.app(inside, receive, send)
            return
        user = rules.user_of(scope, self.app) if self.policy.passwords else ""
        if user and self.policy.passwords and not self.policy.passwords.knows(user):
            user = ""  # was removed since
        refusal = self._refusal(scope, path, user)
        if refusal is None:
            receive, refusal = await self._body(scope, path, user, receive)
        if refusal is not None:
            await refused(refusal)(scope, receive, self._private(send))
            return
        if path == TOKEN_PATH:
            await JSONResponse({"token": self.policy.token})(scope, receive, self._private(send))
            return
        client = scope.get("client")
        with asking(Visitor(user=user, address=str(client[0]) if client else "")):
            framed = self.policy.framed(scope, path)
            await self.app(inside, receive, self._private(send, framed=framed))

    def _refusal(self, scope: Scope, path: str, user: str) -> Refusal | None:
        refusal = (
            self.policy.elsewhere(scope)
            or self.policy.foreign(scope, path)
            or self.policy.unlike_ours(scope, path)
        )
        if refusal is None and self.policy.passwords and not user:
            refusal = self._logged_out(path)
        if refusal is None and path == TOKEN_PATH and not self._asks_as_page(scope):
            refusal = Refusal(403, "Only the studio's own pages may ask for this.", "origin")
        if refusal is None and user:
            refusal = self._others(ids_of(scope, path), user)
        return refusal

    @staticmethod
    def _asks_as_page(scope: Scope) -> bool:
        # No page of another origin can send a header of that name without being asked about first.
        return header(scope["headers"], rules.TOKEN) is not None

    @staticmethod
    def _logged_out(path: str) -> Refusal | None:
        if (path.rstrip("/") or "/") in rules.OPEN:
            return None
        return Refusal(401, "You are not logged in. Reload the page to log in.", "login")

    def _others(self, ids: Iterator[str], user: str) -> Refusal | None:
        for id in ids:
            if not self.sessions.claim(id, user):
                return Refusal(403, "This belongs to another user.", "owner")
        return None

    async def _body(
        self, scope: Scope, path: str, user: str, receive: Receive
    ) -> tuple[Receive, Refusal | None]:
        """The body, read here where it must be known; the refusal where it cannot be let in."""
        if scope["method"] in rules.READING or path in rules.UPLOADS:
            return receive, None
        most = MOST_LOGIN if path.rstrip("/") == rules.LOGIN else MOST_JSON
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return replayed(bytes(body), receive), None  # gone meanwhile
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > most:
                return receive, Refusal(413, "The request is too long.", "size")
        refusal = self._others(ids_in(bytes(body)), user) if user else None
        return replayed(bytes(body), receive), refusal

    def _known(self, path: str) -> bool:
        scope = {"type": "http", "path": path, "root_path": "", "method": "GET", "headers": []}
        return any(route.matches(scope)[0] is not Match.NONE for route in self.app.routes)

    def _private(self, send: Send, *, framed: bool = False) -> Send:
        """Answers that no other page may show, and no cache may hand to another user."""
        if not self.policy.origins:
            return send

        async def private(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(self._headers(message["headers"], framed))}
            await send(message)

        return private

    def _headers(self, headers: Any, framed: bool) -> Iterator[tuple[bytes, bytes]]:
        for key, value in headers:
            name = key.lower()
            if name == b"set-cookie":
                yield key, value.replace(b"SameSite=none", b"SameSite=lax")
            elif not (name == b"cache-control" and self.policy.passwords):
                yield key, value
        yield b"cross-origin-resource-policy", b"same-origin"
        if not framed:
            yield b"content-security-policy", b"frame-ancestors 'self'"
        yield b"x-content-type-options", b"nosniff"
        yield b"referrer-policy", b"same-origin"
        if self.policy.passwords:
            yield b"cache-control", b"private, no-store"


def refused(refusal: Refusal) -> PlainTextResponse:
    """The answer to something that is refused."""
    return PlainTextResponse(
        refusal.text, refusal.status, headers={"X-PPAP-Refused": refusal.kind, "Vary": "Origin"}
    )


def ids_of(scope: Scope, path: str) -> Iterator[str]:
    """Ids of sessions and events in the address of a request."""
    for name, value in parse_qsl(scope["query_string"].decode("latin-1")):
        if name in IN_QUERY and value:
            yield value[:LONGEST]
    for prefix in WITH_ID:
        if path.startswith(prefix):
            parts = [part for part in path.removeprefix(prefix).split("/") if part]
            # The name of the endpoint stands before the id.
            wanted = parts[-1:] if "/call/" in prefix and len(parts) > 1 else parts[:1]
            if "/call/" not in prefix or (scope["method"] == "GET" and len(parts) > 1):
                yield from (part[:LONGEST] for part in wanted)


def ids_in(body: bytes) -> Iterator[str]:
    """Ids of sessions and events in a body of JSON."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        for name in IN_BODY:
            if isinstance(found.get(name), str) and found[name]:
                yield found[name][:LONGEST]


def replayed(body: bytes, receive: Receive) -> Receive:
    """The body again, for whoever reads it next."""
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
