from __future__ import annotations

from ppap.studio.access.attempts import ADDRESS, BOTH, NAME, WINDOW_SECONDS, Attempts, network


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_some_failures_one_waits_until_they_are_old() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(BOTH):
        assert attempts.begin("ada", "10.0.0.1") == 0
        clock.now += 1
    assert attempts.begin("ada", "10.0.0.1") == WINDOW_SECONDS - BOTH
    # Whoever is refused does not wait longer for having tried.
    clock.now += WINDOW_SECONDS - BOTH - 1
    assert attempts.begin("ada", "10.0.0.1") == 1
    clock.now += 1
    assert attempts.begin("ada", "10.0.0.1") == 0


def test_another_user_and_another_address_are_not_kept_out() -> None:
    attempts = Attempts(Clock())
    for _ in range(BOTH + 3):
        attempts.begin("ada", "10.0.0.1")
    assert attempts.begin("bob", "10.0.0.1") == 0
    assert attempts.begin("ada", "10.0.0.2") == 0


def test_one_address_cannot_try_many_names() -> None:
    attempts = Attempts(Clock())
    tried = [attempts.begin(f"user{n}", "10.0.0.1") for n in range(ADDRESS + 1)]
    assert tried[:ADDRESS] == [0] * ADDRESS
    assert tried[ADDRESS] > 0


def test_many_addresses_cannot_try_one_name() -> None:
    attempts = Attempts(Clock())
    tried = [attempts.begin("ada", f"10.0.0.{n}") for n in range(NAME + 1)]
    assert tried[:NAME] == [0] * NAME
    assert tried[NAME] > 0


def test_whoever_has_an_ipv6_network_is_one() -> None:
    attempts = Attempts(Clock())
    tried = [attempts.begin("ada", f"2001:db8::{n:x}") for n in range(BOTH + 1)]
    assert tried[BOTH] > 0
    assert network("2001:db8::1") == network("2001:db8::ffff:1")
    assert network("2001:db8:0:1::1") != network("2001:db8::1")
    assert network("::ffff:10.0.0.1") == "10.0.0.1"
    assert network("testclient") == "testclient"


def test_a_right_password_makes_a_new_beginning() -> None:
    attempts = Attempts(Clock())
    for _ in range(ADDRESS * 2):
        assert attempts.begin("ada", "10.0.0.1") == 0
        attempts.succeeded("ada", "10.0.0.1")
    for _ in range(BOTH - 1):
        attempts.begin("ada", "10.0.0.1")
    assert attempts.begin("ada", "10.0.0.1") == 0
    attempts.succeeded("ada", "10.0.0.1")
    assert attempts.begin("ada", "10.0.0.1") == 0


def test_a_right_password_does_not_forgive_what_others_tried() -> None:
    attempts = Attempts(Clock())
    for n in range(ADDRESS - 1):
        attempts.begin(f"user{n}", "10.0.0.1")
    attempts.begin("eve", "10.0.0.1")
    attempts.succeeded("eve", "10.0.0.1")
    assert attempts.begin("ada", "10.0.0.1") == 0
    assert attempts.begin("bob", "10.0.0.1") > 0
