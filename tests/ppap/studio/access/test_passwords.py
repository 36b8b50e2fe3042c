from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ppap.studio.access import passwords
from ppap.studio.access.passwords import (
    AuthFileError,
    Hashed,
    Passwords,
    add_user,
    hashed,
    read_hashed,
    read_users,
)
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "COST", 2**10)
    monkeypatch.setattr(passwords, "PARALLEL", 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users.txt"


def test_a_user_comes_in_with_the_right_password_only(file: Path) -> None:
    assert not add_user(file, "ada", "correct horse")
    assert not add_user(file, "bob", "battery staple")
    users = Passwords(file)
    assert users.check("ada", "correct horse")
    for name, password in (
        ("ada", "correct horse "),
        ("ada", ""),
        ("ada", "battery staple"),
        ("Ada", "correct horse"),
        ("eve", "correct horse"),
        ("", ""),
        ("ada", "x" * 5000),
        ("ada", "\ud800"),
        ("ada\0", "correct horse"),
    ):
        assert not users.check(name, password), (name, password)


def test_nothing_in_the_file_gives_a_password_away(file: Path) -> None:
    add_user(file, "ada", "the same password")
    add_user(file, "bob", "the same password")
    text = file.read_text()
    assert "password" not in text
    first, second = (line.split(":", 1)[1] for line in text.splitlines())
    assert first.split("$")[4] != second.split("$")[4]
    assert first.split("$")[5] != second.split("$")[5]
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0


def test_the_usual_cost_is_the_one_that_is_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    made = hashed("x")
    assert (made.cost, made.block, made.parallel) == (2**14, 8, 5)
    assert read_hashed(made.written()) == made
    assert made.fits("x")


def test_a_user_gets_another_password_and_the_others_stay(file: Path) -> None:
    file.write_text("# who may log in\n\n")
    add_user(file, "ada", "first")
    add_user(file, "adam", "another")
    assert add_user(file, "ada", "second")
    users = Passwords(file)
    assert not users.check("ada", "first")
    assert users.check("ada", "second")
    assert users.check("adam", "another")
    assert file.read_text().startswith("# who may log in\n")
    assert list(read_users(file)) == ["ada", "adam"]


def test_the_file_is_read_again_when_it_changes(file: Path) -> None:
    add_user(file, "ada", "a")
    users = Passwords(file)
    add_user(file, "bob", "b")
    assert users.check("bob", "b")
    kept = [line for line in file.read_text().splitlines() if not line.startswith("ada:")]
    file.write_text("\n".join(kept))
    assert not users.knows("ada")
    assert not users.check("ada", "a")
    # While somebody edits it, what was there last counts.
    file.write_text("half a li")
    assert users.check("bob", "b")
    file.unlink()
    assert users.check("bob", "b")


@pytest.mark.parametrize(
    "name", ["", "a:b", "a b", "-a", "a" * 65, "a\nb:c", "ä b", "a/b", "\ud800"]
)
def test_what_cannot_be_a_name_is_refused(file: Path, name: str) -> None:
    with pytest.raises(AuthFileError, match="is not a valid user name"):
        add_user(file, name, "x")
    assert not file.exists()


@pytest.mark.parametrize("name", ["ada", "a", "Ada.Lovelace", "ada@example.org", "äda", "7"])
def test_usual_names_are_none_the_less_names(file: Path, name: str) -> None:
    add_user(file, name, "x")
    assert Passwords(file).check(name, "x")


@pytest.mark.parametrize(
    "line",
    [
        "ada:secret",
        "ada",
        "ada:scrypt$1024$8$1$AAAA",
        "ada:scrypt$16384$8$5$AAAAAAAAAAAAAAAAAAAAAA==$AAAA",
        "ada:scrypt$1073741824$8$1$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "=",
        "ada:scrypt$16384$8$99999$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "=",
        "ada:md5$1024$8$1$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "=",
        "ada:scrypt$1024$8$1$!!!$" + "A" * 43 + "=",
    ],
)
def test_a_wrong_line_is_named_and_not_shown(file: Path, line: str) -> None:
    file.write_text(f"# users\n{line}\n")
    with pytest.raises(AuthFileError, match=r"^Line 2 of .* is not a user: add users") as error:
        Passwords(file)
    assert "secret" not in str(error.value)


def test_a_name_stands_once(file: Path) -> None:
    add_user(file, "ada", "x")
    file.write_text(file.read_text() * 2)
    with pytest.raises(AuthFileError, match=r"Line 2 of .* lists ada a second time"):
        Passwords(file)


def test_a_file_that_is_not_there_or_names_nobody(file: Path, tmp_path: Path) -> None:
    with pytest.raises(AuthFileError, match=r"users\.txt cannot be read: No such file"):
        Passwords(file)
    with pytest.raises(AuthFileError, match="cannot be read: Is a directory"):
        Passwords(tmp_path)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AuthFileError, match="is not a text file"):
        Passwords(file)
    file.write_text("# nobody yet\n")
    with pytest.raises(AuthFileError, match="lists no users: add one with"):
        Passwords(file)


def test_an_unknown_name_costs_as_much_as_a_known_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_user(file, "ada", "x")
    users = Passwords(file)
    compared: list[Hashed] = []
    fits = Hashed.fits

    def counted(self: Hashed, password: str) -> bool:
        compared.append(self)
        return fits(self, password)

    monkeypatch.setattr(Hashed, "fits", counted)
    assert not users.check("ada", "y")
    assert not users.check("eve", "y")
    first, second = compared
    assert (first.cost, first.block, first.parallel) == (second.cost, second.block, second.parallel)


def test_the_command_makes_a_user_and_says_so(file: Path) -> None:
    def run(*words: str, typed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "app.py", "add-user", *words],
            cwd=ROOT,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
        )

    done = run(str(file), "ada", typed="short\n")
    assert (done.returncode, done.stdout) == (0, f"ada can now log in ({file}).\n")
    assert "A password of fewer than 8 characters is easy to guess." in done.stderr
    done = run(str(file), "ada", typed="long enough\n")
    assert (done.stdout, done.stderr) == (f"ada has a new password ({file}).\n", "")
    assert Passwords(file).check("ada", "long enough")
    for words, typed, said in (
        ((str(file), "bob"), "\n", "The password is empty"),
        ((str(file), "b b"), "x\n", "'b b' is not a valid user name"),
        ((f"{file}/x", "bob"), "x\n", "cannot be"),
    ):
        done = run(*words, typed=typed)
        assert done.returncode == 1
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert list(read_users(file)) == ["ada"]
