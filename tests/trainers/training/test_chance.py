from __future__ import annotations

import torch

from trainers.training.chance import derived, generator, seed_everything


def test_a_seed_for_every_purpose() -> None:
    purposes: list[tuple[str | int, ...]] = [
        (),
        ("anchors",),
        ("anchors", 1),
        ("anchors", 11),
        ("anchors", 1, 1),
        ("anchors1",),
        ("order", 1),
        ("1", "anchors"),
    ]
    found = [derived(seed, *purpose) for seed in (0, 1, 7, 70) for purpose in purposes]
    assert len(set(found)) == len(found)
    assert all(0 <= each < 2**63 for each in found)
    steps = {derived(0, "step", step) for step in range(2000)}
    assert len(steps) == 2000


def test_it_stays_the_same_for_ever() -> None:
    # A run that began under an older release must go on with the same draws.
    assert derived(7, "anchors", 120) == 752343172645157456


def test_nothing_depends_on_what_was_drawn_before() -> None:
    first = torch.rand(4, generator=generator(3, "order", 2))
    torch.rand(1000)
    generator(3, "order", 1).seed()
    assert torch.equal(torch.rand(4, generator=generator(3, "order", 2)), first)
    for other in (generator(4, "order", 2), generator(3, "order", 3), generator(3, "near", 2)):
        assert not torch.equal(torch.rand(4, generator=other), first)


def test_torchs_own_source_is_seeded() -> None:
    seed_everything(1, "step", 5)
    first = torch.rand(3)
    for again, same in (((1, "step", 5), True), ((1, "step", 6), False), ((2, "step", 5), False)):
        seed_everything(*again)
        assert torch.equal(torch.rand(3), first) is same


def test_words_do_not_run_together() -> None:
    purposes = [("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), ("", "abc")]
    assert len({derived(0, *purpose) for purpose in purposes}) == len(purposes)
