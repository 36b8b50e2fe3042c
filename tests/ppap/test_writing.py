"""Files that are written whole or not at all, on disks of every kind."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ppap.writing import discard, is_full, overwrite, writing
from tests.support.small_disks import fill, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 256) as made:
        yield made


def write(file: Path, content: bytes) -> None:
    with writing(file) as partial:
        partial.write_bytes(content)


def test_a_failed_writer_gives_its_room_back_at_once(disk: Path) -> None:
    """Even while it still has the file open, as an exception's traceback does."""
    held = []

    def write_too_much() -> None:
        with writing(disk / "large") as partial:
            held.append(partial.open("wb", buffering=0))
            while True:
                held[0].write(b"\1" * 4096)

    with pytest.raises(OSError, match="No space left") as found:
        write_too_much()
    assert found.value.filename == str(disk / "large")
    assert is_full(found.value)
    assert list(disk.iterdir()) == []
    write(disk / "word", b"failed" * 1000)  # there is room again
    held[0].close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_the_error_names_the_file_that_was_wanted(tmp_path: Path, code: int) -> None:
    file = tmp_path / "a.json"
    write(file, b"old")

    def fail(named: bool) -> None:
        with writing(file) as partial:
            partial.write_bytes(b"half")
            raise OSError(code, os.strerror(code), *([str(partial)] if named else []))

    for named in (False, True):
        with pytest.raises(OSError, match=r"a\.json") as found:
            fail(named)
        assert (found.value.filename, found.value.errno) == (str(file), code)
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
    assert file.read_bytes() == b"old"
    # Of another file, it says so.
    with pytest.raises(OSError, match="input") as found, writing(file):
        raise OSError(code, os.strerror(code), str(tmp_path / "input"))
    assert found.value.filename == str(tmp_path / "input")


def test_a_folder_that_is_not_there_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as found, writing(tmp_path / "gone/a.json"):
        pass
    assert found.value.filename == str(tmp_path / "gone/a.json")


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EROFS])
def test_a_disk_without_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(Path, "chmod", refuse)
    write(tmp_path / "a", b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"


@pytest.mark.parametrize(("code", "fails"), [(errno.EINVAL, False), (errno.ENOSYS, False),
                                             (errno.EIO, True), (errno.ENOSPC, True)])  # fmt: skip
def test_a_disk_that_cannot_be_told_to_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, fails: bool
) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    write(tmp_path / "a", b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    if fails:  # what may not have reached the disk must not take the place of what has
        with pytest.raises(OSError, match=os.strerror(code)):
            write(tmp_path / "a", b"new")
    else:
        write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == (b"old" if fails else b"new")


def test_what_has_another_name_is_never_emptied(tmp_path: Path) -> None:
    kept, beside = tmp_path / "checkpoint", tmp_path / "beside"
    kept.write_bytes(b"precious")
    os.link(kept, beside)
    discard(beside)
    assert kept.read_bytes() == b"precious"
    beside.symlink_to(kept)
    discard(beside)
    assert kept.read_bytes() == b"precious"
    assert not beside.is_symlink()


def test_a_last_word_fits_on_a_full_disk(disk: Path) -> None:
    file = disk / "state.json"
    write(file, b'{"state": "running"}')
    fill(disk)
    with pytest.raises(OSError, match="No space left") as found:
        write(file, b'{"state": "failed"}')
    assert is_full(found.value)
    overwrite(file, '{"state": "failed", "reason": "Ünü"}')
    assert file.read_text() == '{"state": "failed", "reason": "Ünü"}'
    overwrite(file, "{}")
    assert file.read_text() == "{}"
