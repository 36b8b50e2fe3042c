"""Uploads and downloads lie in a folder of this process alone, and go when nobody needs them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ppap.studio import temporary
from ppap.studio.temporary import HOUR, Temporary, claim, remove_abandoned, tidy, use
from tests.conftest import ROOT


def file(path: Path, *, hours: float, size: int = 10) -> Path:
    """A file that was last used so many hours ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    then = time.time() - hours * HOUR
    os.utime(path, (then, then))
    return path


def test_what_is_old_goes_with_its_folder(tmp_path: Path) -> None:
    old, young = (
        file(tmp_path / (64 * letter) / "a.png", hours=hours)
        for letter, hours in (("a", 25), ("b", 23))
    )
    loose, other = file(tmp_path / "loose", hours=99), file(tmp_path / "segment-1/a", hours=99)
    assert set(tidy(tmp_path)) == {old, loose, other}
    assert not old.parent.exists()
    assert other.parent.exists(), "whoever made it may write to it again"
    assert young.exists()
    assert tmp_path.exists()


def test_a_folder_keeps_what_else_is_in_it(tmp_path: Path) -> None:
    file(tmp_path / (64 * "a") / "old.png", hours=25)
    young = file(tmp_path / (64 * "a") / "young.png", hours=1)
    tidy(tmp_path)
    assert young.exists()


def test_of_too_much_the_longest_unused_goes(tmp_path: Path) -> None:
    files = [file(tmp_path / f"{hours}/a.zip", hours=hours, size=100) for hours in (2, 3, 4, 5)]
    assert set(tidy(tmp_path, most_bytes=250)) == set(files[2:])
    assert all(one.exists() for one in files[:2])


def test_what_was_just_used_stays_however_much_it_is(tmp_path: Path) -> None:
    files = [file(tmp_path / f"{n}.zip", hours=n / 10, size=100) for n in range(5)]
    assert tidy(tmp_path, most_bytes=150) == []
    old = file(tmp_path / "old.zip", hours=30)
    use(old)
    assert tidy(tmp_path, most_bytes=150) == []
    assert all(one.exists() for one in (*files, old))
    use(tmp_path / "gone already")


def test_the_folder_is_private_and_goes_with_its_last_user(tmp_path: Path) -> None:
    made, first, second = Temporary(tmp_path), object(), object()
    for user in (first, second, first):
        made.open(user)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    file(made.folder / "a/upload.png", hours=0)
    made.close(first)
    made.close(first)
    assert (made.folder / "a/upload.png").exists()
    made.close(second)
    assert list(tmp_path.iterdir()) == []
    made.open(first)
    assert made.folder.is_dir(), "it can be used again"
    made.close(first)


def test_it_is_tidied_while_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "LOOK_SECONDS", 0.01)
    made = Temporary(tmp_path)
    made.open(made)
    try:
        old = file(made.folder / "a/old.png", hours=25)
        dead = abandoned(tmp_path)
        deadline = time.monotonic() + 20
        while old.exists() or dead.exists():
            assert time.monotonic() < deadline, "nobody tidied up"
            time.sleep(0.01)
    finally:
        made.close(made)


def abandoned(base: Path, *, hours: float = 2, pid: int | None = None) -> Path:
    """The folder of a studio that was killed."""
    if pid is None:
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            pid = ended.pid
    folder = base / f"studio-{pid}-0123abcd"
    file(folder / "a/upload.png", hours=hours)
    then = time.time() - hours * HOUR
    os.utime(folder, (then, then))
    return folder


def test_what_killed_studios_left_goes(tmp_path: Path) -> None:
    dead, fresh = abandoned(tmp_path), abandoned(tmp_path, hours=0.5)
    alive = abandoned(tmp_path, pid=os.getpid())
    mine = [file(tmp_path / name, hours=99) for name in ("studio-notes.txt", "studio-x-1/a", "b")]
    remove_abandoned(tmp_path)
    assert not dead.exists()
    assert fresh.exists(), "its process may be one that is not seen from here"
    assert alive.exists()
    assert all(one.exists() for one in mine), "nobody else's files"
    remove_abandoned(tmp_path / "nowhere")


def test_a_link_is_no_abandoned_folder(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    kept = file(tmp_path / "kept/a", hours=99)
    dead = abandoned(tmp_path / "base")
    name = dead.name
    remove_abandoned(tmp_path / "base")
    (tmp_path / "base" / name).symlink_to(kept.parent)
    then = time.time() - 2 * HOUR
    os.utime(tmp_path / "base" / name, (then, then), follow_symlinks=False)
    remove_abandoned(tmp_path / "base")
    assert kept.exists()


def test_where_it_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "mine"))
    made, said = claim()
    assert said is None
    assert made.base == tmp_path / "mine"
    assert os.environ["GRADIO_TEMP_DIR"] == str(made.folder)
    # A studio that this process starts has a folder beside it, not in it.
    assert claim()[0].base == tmp_path / "mine"


def test_where_it_was_said_to_be_but_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(temporary, "private_folder", lambda: tmp_path / "private")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file"))
    made, said = claim()
    assert made.base == tmp_path / "private" / "uploads"
    assert said == (
        f"GRADIO_TEMP_DIR ({tmp_path}/file) cannot be written, so uploads are kept in "
        f"{tmp_path}/private/uploads instead."
    )
    monkeypatch.delenv("GRADIO_TEMP_DIR")
    made, said = claim()
    assert (made.base, said) == (tmp_path / "private" / "uploads", None)


@pytest.mark.slow
def test_gradio_uses_it() -> None:
    code = (
        "import ppap.studio.page, gradio.route_utils as r, gradio_client.client as c\n"
        "from gradio.utils import get_upload_folder\n"
        "from ppap.studio.temporary import FILES\n"
        "assert {get_upload_folder(), r.DEFAULT_TEMP_DIR, str(c.DEFAULT_TEMP_DIR)} == "
        "{str(FILES.folder)}\n"
        "assert FILES.folder.parent.name == 'uploads'\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GRADIO_TEMP_DIR"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=120)
