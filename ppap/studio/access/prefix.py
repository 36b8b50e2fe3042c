"""``GRADIO_ROOT_PATH``: the path under which a proxy shows the studio, whether it strips it or not.

The studio's own addresses begin with ``studio/``. So under ``/studio`` the two kinds of proxies
send the same paths and mean different things by them.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import quote, urlsplit


def root_path(text: str) -> str:
    """As gradio takes it: ``studio/`` → ``/studio``; a whole address stays one, without its end."""
    text = text.strip().rstrip("/")
    if text.startswith(("http://", "https://")) or not text:
        return text
    return f"/{text.lstrip('/')}"


def path_of(root: str) -> str:
    """The path of a root path, which may be a whole address."""
    return urlsplit(root).path.rstrip("/")


def meant(path: str, prefix: str, own: Callable[[str], bool], known: Callable[[str], bool]) -> str:
    """What a request means, without the prefix, whether the proxy has removed it or not.

    Args:
        path: of the request.
        prefix: under which the proxy shows the studio.
        own: whether the studio itself has something at a path.
        known: whether anything answers a path.
    """
    if not prefix or not (path == prefix or path.startswith(f"{prefix}/")) or own(path):
        return path
    rest = path[len(prefix) :] or "/"
    return rest if known(rest) else path


def at(scope: MutableMapping[str, Any], path: str) -> dict[str, Any]:
    """The same request for another path."""
    return {**scope, "path": path, "raw_path": quote(path, safe="/:@!$&'()*+,;=~-._").encode()}
