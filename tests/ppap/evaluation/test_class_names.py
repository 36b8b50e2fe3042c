"""Names of classes: spellings, other words, another order."""

from __future__ import annotations

from ppap.evaluation.class_names import differing, in_another_order, in_words

OWN = ("Sky", "road", "traffic light")


def test_spellings_are_one_name() -> None:
    assert differing(OWN, ("sky", "Road ", "Traffic_Light")) == []
    assert not in_another_order(OWN, ("sky", "ROAD", "traffic-light"))


def test_other_words_and_another_order_are_two_things() -> None:
    assert differing(OWN, ("sky", "street", "lamp")) == [1, 2]
    assert not in_another_order(OWN, ("sky", "street", "lamp"))
    assert in_another_order(OWN, ("road", "sky", "traffic light"))
    assert in_another_order(OWN, ("void", "sky", "road"))  # numbered from one later


def test_names_without_letters_differ() -> None:
    assert differing(("?", "!"), ("!", "?")) == [0, 1]
    assert in_another_order(("道路", "空"), ("空", "道路"))


def test_the_first_difference_is_told() -> None:
    assert in_words(OWN, ("sky", "street", "lamp")) == (
        "class 1 is 'street' here and 'road' there; 2 of 3 names differ"
    )
