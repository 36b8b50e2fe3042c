"""Work on disks that do not answer: waited for within limits, and never too much of it."""

from __future__ import annotations

import threading

import pytest

from ppap.studio.access.visitor import Visitor, asking, current
from ppap.studio.patience import BUSY, SLOW, Patience
from ppap.studio.requests import RequestError


def test_what_is_quick_is_returned_or_raised() -> None:
    patience = Patience()
    assert patience.within(20, lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        patience.within(20, lambda: 1 // 0)


def test_it_is_done_for_whoever_asks() -> None:
    with asking(Visitor(user="ada")):
        assert Patience().within(20, lambda: current().user) == "ada"


def test_what_is_slow_is_refused_and_keeps_its_place() -> None:
    patience, answered = Patience(each=2, most=3), threading.Event()

    def hang() -> None:
        with pytest.raises(RequestError, match=SLOW):
            patience.within(0.01, answered.wait)

    with asking(Visitor(user="ada")):
        hang()
        hang()
        with pytest.raises(RequestError, match=BUSY):
            patience.within(0.01, answered.wait)
    with asking(Visitor(user="bob")):
        hang()  # the third of all
        with pytest.raises(RequestError, match=BUSY):
            patience.within(0.01, answered.wait)
    answered.set()
    for thread in threading.enumerate():
        if thread.name == "look":
            thread.join(20)
    with asking(Visitor(user="ada")):
        assert patience.within(20, lambda: 7) == 7
