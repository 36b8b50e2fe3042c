from __future__ import annotations

import threading

import pytest

from ppap.studio.access.shares import Shares, Turns
from ppap.studio.access.visitor import Visitor, asking, current
from tests.support.small_studio import wait_until


def test_beyond_one_s_own_share_one_s_own_oldest_goes() -> None:
    kept: Shares[int] = Shares(2, 100)
    for n in range(5):
        gone = kept.put(f"b{n}", n, "b")
    kept.put("a", 9, "a")
    assert gone == [2]
    assert list(kept) == ["b3", "b4", "a"]


def test_using_something_keeps_it() -> None:
    kept: Shares[int] = Shares(2, 100)
    kept.put("a", 1, "x")
    kept.put("b", 2, "x")
    assert kept.get("a") == 1
    assert kept.put("c", 3, "x") == [2]
    keys: list[object] = ["a", "b", "c", None, 5, []]
    assert [kept.get(key) for key in keys] == [1, None, 3, None, None, None]


def test_nobody_pushes_out_what_another_keeps() -> None:
    kept: Shares[int] = Shares(1000, 10)
    kept.put("first", 0, "ada")
    for n in range(250):
        kept.put(f"b{n}", n, "bob")
    assert kept.get("first") == 0
    assert len(kept) == 10


def test_it_is_the_one_who_takes_up_most_who_makes_room() -> None:
    kept: Shares[float] = Shares(100, 10, lambda weight: weight)
    kept.put("a", 3, "ada")
    kept.put("b", 5, "bob")
    assert kept.put("c", 3, "eve") == [5]
    assert list(kept) == ["a", "c"]


def test_the_newest_stays_even_if_it_is_too_large_alone() -> None:
    kept: Shares[float] = Shares(100, 10, lambda weight: weight)
    kept.put("a", 3, "ada")
    assert kept.put("b", 50, "bob") == [3]
    assert list(kept) == ["b"]


def test_many_with_one_each_give_way_to_the_newest() -> None:
    kept: Shares[int] = Shares(5, 3)
    for n in range(5):
        kept.put(str(n), n, f"page {n}")
    assert list(kept) == ["2", "3", "4"]


def test_everybody_takes_turns() -> None:
    turns, begin = Turns("turns"), threading.Event()
    done: list[str] = []
    turns.submit("first", begin.wait)
    for n in range(100):
        turns.submit("bob", done.append, f"bob {n}")
    last = [turns.submit("ada", done.append, f"ada {n}") for n in range(2)]
    begin.set()
    for one in last:
        one.result(20)
    assert done[:4] == ["bob 0", "ada 0", "bob 1", "ada 1"]
    turns.shutdown(wait=True)


def test_work_is_done_for_whoever_asked() -> None:
    turns = Turns("turns")
    with asking(Visitor(user="ada")):
        asked = turns.submit("ada", current)
    assert asked.result(20).user == "ada"
    assert turns.submit("", current).result(20).user == ""
    turns.shutdown(wait=True)


def test_an_error_reaches_whoever_asked_and_the_next_goes_on() -> None:
    turns = Turns("turns")
    failed = turns.submit("a", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failed.result(20)
    assert turns.submit("a", lambda: 5).result(20) == 5
    turns.shutdown(wait=True)


def test_what_waits_is_given_up_at_the_end() -> None:
    turns, begin = Turns("turns"), threading.Event()
    first = turns.submit("a", begin.wait)
    waiting = [turns.submit(name, print) for name in "aab"]
    wait_until(first.running)
    turns.shutdown(wait=False)
    begin.set()
    assert all(one.cancelled() for one in waiting)
    assert first.result(20)
