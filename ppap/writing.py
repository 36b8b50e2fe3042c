"""Files that are written whole or not at all: whoever looks sees the old one or the new one.

Disks differ in what they can do. Where one knows no permissions (CIFS, S3) or cannot be told to
sync, files are written all the same; a disk that is full says so by the name of the file that was
wanted, and what was half written gives its room back at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

PARTIAL = ".partial"
# A disk that answers this does not know what it was asked for, which is no failure.
UNKNOWN = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES}
)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def writing(file: Path) -> Iterator[Path]:
    """A path beside ``file`` to write to; it takes its place, synced to the disk, at the end.

    When the body fails, the partial file is removed and ``file`` stays as it was. An OSError that
    names no file, or the partial one, names ``file`` instead.
    """
    partial = None
    try:
        partial = _partial(file)
        yield partial
        _sync(partial)
        with contextlib.suppress(OSError):  # a disk without permissions: whoever mounts it decides
            partial.chmod(0o666 & ~_umask())
        partial.replace(file)
        sync_folder(file.parent)
    except BaseException as error:
        if isinstance(error, OSError):
            name_instead(error, file, partial)
        if partial is not None:
            discard(partial)
        raise
    # Two names of one file: replacing the one by the other leaves both.
    with contextlib.suppress(OSError):
        partial.unlink(missing_ok=True)


def _partial(file: Path) -> Path:
    handle, name = tempfile.mkstemp(suffix=PARTIAL, prefix=f".{file.name}.", dir=file.parent)
    os.close(handle)
    return Path(name)


def name_instead(error: OSError, file: Path, partial: Path | None) -> None:
    """Let an error of a write name the file that was wanted, not the one beside it."""
    named = error.filename
    if named is None or partial is None or os.fspath(named) == os.fspath(partial):
        error.filename = os.fspath(file)
        error.filename2 = None


def discard(partial: Path) -> None:
    """Remove what was half written; its room is free at once.

    Whoever failed to write may still have the file open, as long as the traceback of the error
    lives: then removing it alone would free nothing, and there would be no room left to say so.
    """
    with contextlib.suppress(OSError):
        found = partial.lstat()
        # Never what has another name, too: that may be somebody's checkpoint.
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.truncate(partial, 0)
    with contextlib.suppress(OSError):
        partial.unlink(missing_ok=True)


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_full(error: OSError) -> bool:
    """Whether a disk, a quota or a limit of this process took no more."""
    return error.errno in FULL


def overwrite(file: Path, text: str) -> None:
    """Write into a small file where it lies, for a disk too full to hold another beside it.

    Most disks take as much as the file's last block holds without needing room. Not whole or not at
    all: only for what must be said at the end of a failure.
    """
    content = text.encode("utf-8", "surrogatepass")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        done = 0
        while done < len(content):
            done += os.pwrite(descriptor, content[done:], done)
        os.ftruncate(descriptor, len(content))
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
