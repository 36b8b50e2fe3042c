"""What a process finds around itself, made fit to work with: caches, temporary files, proxies.

Containers and shared machines have no home folder, or one that cannot be written; companies and
VPNs set proxies in forms that HTTP libraries refuse. What is changed here is the environment of
this process, so that libraries and child processes find it as well. Nothing heavy is imported: all
of this comes before the libraries that read the environment.
"""

from __future__ import annotations

import functools
import importlib.util
import ipaddress
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

# Where libraries keep what they can make again, for want of an entry below the user's cache.
# torch's and the hub's own downloads are read from where they are, even where nothing can be added.
DOWNLOADED = {"HF_HOME": "huggingface", "TORCH_HOME": "torch"}
WRITTEN = {"MPLCONFIGDIR": "matplotlib", "TRITON_CACHE_DIR": "triton"}
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
LOCAL = ("localhost", "127.0.0.1", "::1")


# --- folders


@functools.lru_cache(maxsize=1)
def private_folder() -> Path:
    """This user's own folder among the system's temporary files, which nobody else can look into.

    Raises:
        OSError: there is no place for temporary files at all.
    """
    who = str(os.getuid()) if hasattr(os, "getuid") else ""
    folder = Path(tempfile.gettempdir()) / f"ppap-studio-{who}".rstrip("-")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if is_own(folder):
            folder.chmod(0o700)
            if can_write(folder):
                return folder
    except OSError:
        pass
    # Somebody else made one of that name, or a link: theirs must not be used.
    return Path(tempfile.mkdtemp(prefix="ppap-studio-"))


def is_own(folder: Path) -> bool:
    """Whether it is a folder, no link, and nobody else's."""
    found = folder.lstat()
    own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and own


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made if need be.

    Tried, not asked: a read-only disk, a full one, or one of another user all say no.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def cache_home() -> Path | None:
    """Where programs keep what they can make again; None where this user has no home folder."""
    said = os.environ.get("XDG_CACHE_HOME")
    if said:
        return Path(said)
    try:
        return Path.home() / ".cache"
    except RuntimeError:  # neither HOME nor an entry among the users
        return None


def find_caches() -> str | None:
    """Give caches a place that can be written; a sentence where it is not the usual one.

    Children of this process find them there, too, and have nothing to say any more.

    Raises:
        OSError: there is no place for temporary files either.
    """
    usual = cache_home()
    if usual is not None and can_write(usual):
        return None
    place = private_folder() / "cache"
    for name, part in DOWNLOADED.items():
        there = None if usual is None else usual / part
        if name not in os.environ and there is not None and is_readable(there):
            os.environ[name] = str(there)
    for name, part in WRITTEN.items():
        os.environ.setdefault(name, str(place / part))
    os.environ["XDG_CACHE_HOME"] = str(place)
    why = "There is no home folder" if usual is None else f"{usual} cannot be written"
    return f"{why}, so caches are kept in {place} until they are removed."


def is_readable(folder: Path) -> bool:
    """Whether it is a folder that can be looked into."""
    try:
        return folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    except OSError:
        return False


def find_place_for_compiled(*packages: str) -> None:
    """Give what numba compiles of these packages a place, where numba itself would find none.

    It looks beside the package and in the user's cache, and gives up where neither can be written.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    specs = [importlib.util.find_spec(package) for package in packages]
    origins = [spec.origin for spec in specs if spec is not None and spec.origin is not None]
    if all(can_write(Path(origin).parent / "__pycache__") for origin in origins):
        return
    usual = cache_home()
    if usual is None or not can_write(usual):
        os.environ["NUMBA_CACHE_DIR"] = str(private_folder() / "cache" / "numba")


# --- proxies


def mend_proxies(own: Iterable[str] = ()) -> list[str]:
    """Make the environment's proxies such that HTTP libraries take them; sentences on what changed.

    What goes to this machine itself, or to one of the hosts ``own``, goes without a proxy. Of
    NO_PROXY only what no library understands is left out.
    """
    said = []
    for name in list(_set(PROXIES)):
        value = os.environ[name]
        mended = mended_proxy(value)
        if mended is None:
            del os.environ[name]
            said.append(f"{name}={shown(value)} is not a usable proxy, so it is ignored.")
        elif mended != value:
            os.environ[name] = mended
    given = next(_set(("no_proxy",)), None)
    if given is None and not any(_set(PROXIES)):
        return said
    entries = list(map(plain_entry, re.split(r"[\s,;]+", os.environ.get(given or "", ""))))
    without_proxy([entry for entry in entries if entry and understood(entry)], own)
    if not works():
        without_proxy([], own)
        said.append(f"{given} cannot be understood, so it is ignored.")
    return said


def without_proxy(entries: list[str], own: Iterable[str]) -> None:
    """Set NO_PROXY to these entries and to this machine itself."""
    if "*" not in entries:
        entries += [host for host in (*LOCAL, *own) if host not in entries]
    # Both: libraries disagree on which of the two counts.
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(entries)


def works() -> bool:
    """Whether a request could be made at all."""
    import httpx

    try:
        with httpx.Client():
            return True
    except (ImportError, ValueError, httpx.InvalidURL):
        return False


def _set(names: Iterable[str]) -> Iterator[str]:
    """The variables that are set, under whichever of their spellings."""
    for name in names:
        yield from (one for one in (name, name.upper()) if os.environ.get(one))


def mended_proxy(value: str) -> str | None:
    """A proxy as HTTP libraries know it; None where they do not."""
    import httpx

    text = value.strip()
    # GNOME's name for what is SOCKS 5 nearly everywhere, and curl's for names looked up over there.
    for scheme, meant in (("socks://", "socks5://"), ("socks5a://", "socks5h://")):
        if text.lower().startswith(scheme):
            text = meant + text[len(scheme) :]
    try:
        with httpx.Client(proxy=text if "://" in text else f"http://{text}", trust_env=False):
            return text
    except (ImportError, ValueError, httpx.InvalidURL):
        return None


def plain_entry(entry: str) -> str:
    """An entry of NO_PROXY as all libraries write it: ``.corp`` for ``*.corp``, no brackets."""
    name = entry.removeprefix("*") if entry.startswith("*.") else entry
    try:
        network = ipaddress.ip_network(name.strip("[]"), strict=False)
    except ValueError:
        return name
    alone = network.num_addresses == 1
    return str(network.network_address) if alone else name


def understood(entry: str) -> bool:
    """Whether HTTP libraries take this entry of NO_PROXY."""
    import httpx

    if entry == "*":
        return True
    try:
        # As httpx makes a pattern of addresses from it: one unfit entry would fail every request.
        version = ipaddress.ip_network(entry, strict=False).version
        host = f"[{entry}]" if version == 6 else entry
    except ValueError:
        host = f"*{entry}"
    try:
        return bool(httpx.URL(entry if "://" in entry else f"all://{host}").host)
    except (httpx.InvalidURL, ValueError):
        return False


def shown(proxy: str) -> str:
    """A proxy without the password that may be in it."""
    try:
        parts = urlsplit(proxy)
        return proxy if parts.password is None else proxy.replace(parts.password, "…")
    except ValueError:
        return "…"
