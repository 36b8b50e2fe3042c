"""Who may log in: a file with a name and a salted hash in each line, made by a command.

``ppap-studio add-user FILE NAME`` asks for the password. Nothing in the file gives it away.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import contextlib
import getpass
import hashlib
import hmac
import os
import re
import secrets
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ppap.writing import writing

NAME = re.compile(r"[^\W_][\w.@+-]{0,63}")
# scrypt's cost, as OWASP recommends for 16 MiB: a third of a second here.
COST, BLOCK, PARALLEL = 2**14, 8, 5
MEMORY = 64 * 2**20
SALT_BYTES, HASH_BYTES = 16, 32
SHORT = 8
LONGEST = 1024


class AuthFileError(ValueError):
    """The file cannot be used; the text says why."""


class Hashed(NamedTuple):
    """A password, as it is kept."""

    cost: int
    block: int
    parallel: int
    salt: bytes
    digest: bytes

    def written(self) -> str:
        """As it stands in the file."""
        numbers = f"{self.cost}${self.block}${self.parallel}"
        return f"scrypt${numbers}${_text(self.salt)}${_text(self.digest)}"

    def fits(self, password: str) -> bool:
        """Whether this is the password; takes as long whether it is or not."""
        tried = _digest(password, self.salt, self.cost, self.block, self.parallel)
        return hmac.compare_digest(tried, self.digest)


def hashed(password: str) -> Hashed:
    """A password with a salt of its own."""
    salt = secrets.token_bytes(SALT_BYTES)
    return Hashed(COST, BLOCK, PARALLEL, salt, _digest(password, salt, COST, BLOCK, PARALLEL))


def _digest(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    data = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        data, salt=salt, n=cost, r=block, p=parallel, maxmem=MEMORY, dklen=HASH_BYTES
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read_hashed(text: str) -> Hashed:
    """One hash of the file; ValueError where it is none."""
    kind, cost, block, parallel, salt, digest = text.split("$")
    numbers = int(cost), int(block), int(parallel)
    # Somebody else's numbers must not take all memory, or an hour.
    if kind != "scrypt" or not 2**10 <= numbers[0] <= 2**15 or numbers[0] & (numbers[0] - 1):
        raise ValueError
    if not 1 <= numbers[1] <= 8 or not 1 <= numbers[2] <= 16:
        raise ValueError
    decoded = [base64.b64decode(part, validate=True) for part in (salt, digest)]
    if len(decoded[0]) < 8 or len(decoded[1]) != HASH_BYTES:
        raise ValueError
    return Hashed(*numbers, *decoded)


def read_users(file: Path) -> dict[str, Hashed]:
    """Names and hashes of a file.

    Raises:
        AuthFileError: it cannot be read; names the line.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise AuthFileError(f"{file} cannot be read: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise AuthFileError(f"{file} is not a text file.") from None
    users: dict[str, Hashed] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, rest = line.partition(":")
        try:
            if not colon or not NAME.fullmatch(name):
                raise ValueError
            user = read_hashed(rest)
        except (ValueError, binascii.Error):
            # The line itself is not shown: it may hold a password in clear.
            raise AuthFileError(
                f"Line {number} of {file} is not a user: add users with "
                "ppap-studio add-user FILE NAME."
            ) from None
        if name in users:
            raise AuthFileError(f"Line {number} of {file} lists {name} a second time.")
        users[name] = user
    return users


class Passwords:
    """The users of a file, read again when it changes. Safe for many threads.

    Raises:
        AuthFileError: the file cannot be read, or names nobody.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        # One password at a time: each takes 16 MiB and a core.
        self._working = threading.Lock()
        self._seen = self._stamp()
        self._users = read_users(file)
        if not self._users:
            raise AuthFileError(
                f"{file} lists no users: add one with ppap-studio add-user {file} NAME."
            )
        # Compared where there is no such user, so that the answer takes as long.
        self._nobody = hashed(secrets.token_urlsafe(16))

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            stat = self.file.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _current(self) -> dict[str, Hashed]:
        with self._lock:
            stamp = self._stamp()
            if stamp is not None and stamp != self._seen:
                with contextlib.suppress(AuthFileError):  # half written: as it was
                    self._users = read_users(self.file)
                self._seen = stamp
            return self._users

    def knows(self, name: str) -> bool:
        """Whether there is, still, such a user."""
        return name in self._current()

    def check(self, name: str, password: str) -> bool:
        """Whether the password is that user's; takes as long where there is no such user."""
        user = self._current().get(name)
        if len(password) > LONGEST:
            return False
        with self._working:
            fits = (user or self._nobody).fits(password)
        return fits and user is not None


def add_user(file: Path, name: str, password: str) -> bool:
    """Put a user into a file, or give one another password; whether that user was there.

    Raises:
        AuthFileError: the file cannot be read or written, or the name cannot be one.
    """
    if not NAME.fullmatch(name):
        raise AuthFileError(
            f"{name!r} is not a valid user name: use up to 64 letters, digits, ., _, @, + and -, "
            "starting with a letter or digit."
        )
    users = read_users(file) if file.exists() else {}
    line = f"{name}:{hashed(password).written()}"
    kept = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    lines = [line if old.strip().startswith(f"{name}:") else old for old in kept]
    lines += [] if name in users else [line]
    try:
        with writing(file) as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with contextlib.suppress(OSError):  # some disks know no permissions
            file.chmod(0o600)
    except OSError as error:
        raise AuthFileError(f"{file} cannot be written: {error.strerror or error}.") from None
    return name in users


def ask(name: str) -> str:
    """The password, typed twice, or one line of what is piped in; AuthFileError where it cannot be
    one."""
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password for {name}: ")
        if password and getpass.getpass("Repeat the password: ") != password:
            raise AuthFileError("The two passwords differ. Nothing was changed.")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise AuthFileError("The password is empty. Nothing was changed.")
    if len(password) > LONGEST:
        raise AuthFileError(
            f"A password can have at most {LONGEST:,} characters. Nothing was changed."
        )
    return password


def main(given: Sequence[str]) -> None:
    """``ppap-studio add-user FILE NAME``."""
    parser = argparse.ArgumentParser(
        prog="ppap-studio add-user",
        description="Add a user to the file of a studio that is started with --auth-file FILE, or "
        "change a user's password. To remove a user, delete their line.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="created if it does not exist")
    parser.add_argument("name", metavar="NAME", help="the user's name")
    args = parser.parse_args(given)
    try:
        file = args.file.expanduser()
        password = ask(args.name)
        changed = add_user(file, args.name, password)
    except (AuthFileError, RuntimeError) as error:
        sys.exit(str(error))
    except (KeyboardInterrupt, EOFError):
        sys.exit("\nNothing was changed.")
    if len(password) < SHORT:
        print(f"A password of fewer than {SHORT} characters is easy to guess.", file=sys.stderr)
    done = "has a new password" if changed else "can now log in"
    print(f"{args.name} {done} ({os.fspath(file)}).")


if __name__ == "__main__":
    main(sys.argv[1:])
