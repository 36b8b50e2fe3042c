"""Whether a data set's classes are those that a checkpoint was trained for, by their names."""

from __future__ import annotations

from collections.abc import Sequence


def differing(own: Sequence[str], here: Sequence[str]) -> list[int]:
    """The classes that are called otherwise, whatever the spelling.

    Args:
        own: names of the checkpoint's classes.
        here: the data set's; of another number, the first ones are compared.
    """
    pairs = enumerate(zip(own, here, strict=False))
    return [number for number, (one, other) in pairs if folded(one) != folded(other)]


def in_another_order(own: Sequence[str], here: Sequence[str]) -> bool:
    """Whether a name stands for one class here and for another there: then scores mean nothing."""
    theirs = [folded(name) for name in here]
    return any(folded(own[number]) in theirs for number in differing(own, here))


def in_words(own: Sequence[str], here: Sequence[str]) -> str:
    """What differs, for a message: the first such class, and how many there are."""
    numbers = differing(own, here)
    first = numbers[0]
    return (
        f"class {first} is '{here[first]}' here and '{own[first]}' there; "
        f"{len(numbers)} of {len(here)} names differ"
    )


def folded(name: str) -> str:
    """A name without what spellings differ in."""
    letters = "".join(each for each in name.casefold() if each.isalnum())
    return letters or name
