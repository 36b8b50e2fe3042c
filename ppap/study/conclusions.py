"""What a study's tables and figures show, and what to conclude: a sentence or two on each.

Made of the numbers as they are saved, so that studies of earlier versions say it, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ppap.study.proof import PHI0, SIGMA_POS, STEPS

Values = Mapping[str, Any]
# Rivals as sentences name them.
NAMES = {
    "baseline": "the baseline",
    "hp": "hidden positives",
    "knn": "k nearest",
    "kmeans": "k-means",
}
# Within so many points of the best there is nothing to gain by other settings.
NEAR = 2.0


def conclusions(study: Values) -> dict[str, str]:
    """A text for each part of a study that is there, by its name.

    "proof", "rules" and "stages" are tables; "advice", "trust", "classes", "same_class" and
    "sweep" are figures.
    """
    found: dict[str, str] = {}
    if study.get("advice"):
        found["advice"] = of_advice(study["advice"])
    if study.get("proof"):
        found["proof"] = of_proof(study["proof"])
    if study.get("rules"):
        found |= {
            "rules": of_rules(study["rules"]),
            "trust": of_curve(study["rules"]),
            "classes": of_classes(study["rules"]),
        }
    if study.get("stages"):
        found |= {
            "stages": of_stages(study["stages"]),
            "same_class": of_same_class(study["stages"]),
        }
    if study.get("sweep"):
        found["sweep"] = of_sweep(study["sweep"])
    return {name: text for name, text in found.items() if text}


def of_advice(advice: Values) -> str:
    """How many pairs of patches are similar enough to be positive at the suggestion."""
    phi0, psi0 = advice["settings"]["phi0"], advice["settings"]["psi0"]
    above, below = _share_above(advice, phi0), 1 - _share_above(advice, psi0)
    return (
        f"Of all pairs of patches, {100 * above:.1f} % are more similar than Φ⁰ and start as "
        f"positives; {100 * below:.1f} % are less similar than Ψ⁰ and start as negatives; the "
        "rest start as ambiguous."
    )


def _share_above(advice: Values, value: float) -> float:
    """Of the histogram, with the bin that holds ``value`` shared out evenly."""
    edges, pairs = advice["edges"], advice["pairs"]
    over = 0.0
    for low, high, share in zip(edges, edges[1:], pairs, strict=False):
        over += share * min(1.0, max(0.0, (high - value) / (high - low)))
    return over / (sum(pairs) or 1)


def of_proof(proof: Values) -> str:
    """How near the suggestion comes to the best that labels find."""
    best, own = proof["best"]["f1"], proof["advised"]["f1"]
    if best is None or own is None:
        return ""
    tried = len(PHI0) * len(SIGMA_POS) * len(STEPS)
    short = 100 * (best - own)
    said = f"Without labels, the complete suggestion reaches an F1 of {100 * own:.1f} %"
    said += (
        ", the best of all settings tried."
        if round(short, 1) == 0
        else f", {short:.1f} points below the best of the {tried} settings tried with labels."
    )
    pure = proof.get("pure")
    if pure and pure["precision"] is not None:
        said += (
            f" The pure suggestion gives {_count(pure['positives'])} positives per anchor, "
            f"{_percent(pure['precision'])} of them correct."
        )
    return said


def of_rules(rules: Sequence[Values]) -> str:
    """PPAP's precision, and against each rival at equal numbers of positives."""
    own = rules[0]
    if own["precision"] is None:
        return "PPAP gives no positives on these images."
    said = f"{_percent(own['precision'])} of PPAP's positives are correct"
    if ends := _ends((own.get("sureness") or {}).get("precision")):
        said += f" (95 % interval {ends})"
    said += f", and they include {_percent(own['recall'])} of the anchor's class."
    equal = [one for one in rules if one["matched"] and one["precision"] is not None]
    if not equal:
        return (
            f"{said} The rivals give different numbers of positives here, so a higher precision "
            "alone does not make a rule better."
        )
    return f"{said} {_against(own, equal)}"


def _against(own: Values, equal: Sequence[Values]) -> str:
    """PPAP beside its rivals: those it is ahead of, those that are ahead, and the undecided."""
    more: list[tuple[float, str, str]] = []
    less: list[tuple[float, str, str]] = []
    undecided = []
    for one in equal:
        points = 100 * (own["precision"] - one["precision"])
        low, high = (one.get("sureness") or {}).get("behind") or (None, None)
        name = NAMES[one["rule"]]
        if low is not None and high is not None and low <= 0 <= high:
            undecided.append(name)
        elif points > 0:
            more.append((points, name, _ends((low, high))))
        else:
            less.append((-points, name, _ends((high, low), -1)))
    sides = [("more", sorted(more)), ("less", sorted(less))]
    parts = [_apart(which, found) for which, found in sides if found]
    said = (
        f"With equal numbers of positives, PPAP's are correct {' and '.join(parts)}."
        if parts
        else ""
    )
    if undecided:
        others = _listed(undecided, "or")
        said += (
            f" No difference from those of {others} can be established on these images."
            if said
            else f"With equal numbers of positives, no difference from those of {others} "
            "can be established on these images."
        )
    return said


def _apart(which: str, found: Sequence[tuple[float, str, str]]) -> str:
    """ "3.4 points more often than those of the baseline (95 % interval 2.9 to 3.8) and …"."""
    parts = []
    for at, (points, name, ends) in enumerate(found):
        words = f"{points:.1f} points {which} often than" if at == 0 else f"{points:.1f} than"
        inside = f" ({'95 % interval ' if at == 0 else ''}{ends})" if ends else ""
        parts.append(f"{words} those of {name}{inside}")
    return _listed(parts)


def of_curve(rules: Sequence[Values]) -> str:
    """Fig. 1b: what is worth more, anchors with few positives or all."""
    points = [one for one in rules[0]["curve"] if one["precision"] is not None]
    if len(points) < 2:
        return ""
    first, last = points[0], points[-1]
    return (
        f"{_percent(first['precision'])} of PPAP's positives are correct for the {first['first']} "
        f"% of anchors with the fewest positives ({_count(first['positives'])} on average), and "
        f"{_percent(last['precision'])} over all anchors ({_count(last['positives'])})."
    )


def of_classes(rules: Sequence[Values]) -> str:
    """The classes in which most and fewest of PPAP's positives are right."""
    known = [one for one in rules[0]["classes"] if one["precision"] is not None]
    if len(known) < 2:
        return ""
    known.sort(key=lambda one: float(one["precision"]))
    worst, best = known[0], known[-1]
    return (
        f"PPAP is most often correct for anchors of the class {best['name']} "
        f"({_percent(best['precision'])} of the positives), and least often for {worst['name']} "
        f"({_percent(worst['precision'])}, {worst['anchors']:,} "
        f"anchor{'s' if worst['anchors'] != 1 else ''})."
    )


def of_stages(stages: Sequence[Values]) -> str:
    """What the suggested settings give in the first and in the last features."""
    sets = [(one["title"], one["sets"].get("complete")) for one in stages]
    known = [(title, cell) for title, cell in sets if cell and cell["f1"] is not None]
    if not known:
        return ""
    title, first = known[0]
    if len(known) == 1:
        pure = stages[0]["sets"].get("pure")
        said = f"{_upper(title)}: the complete suggestion reaches an F1 of {_percent(first['f1'])}"
        if pure and pure["precision"] is not None:
            said += (
                f"; {_percent(pure['precision'])} of the pure suggestion's positives are correct"
            )
        return f"{said}."
    last_title, last = known[-1]
    points = 100 * (last["f1"] - first["f1"])
    verdict = "higher" if points > 0 else "lower"
    return (
        f"With the complete suggestion for each, F1 is {_percent(last['f1'])} for the "
        f"{last_title} and {_percent(first['f1'])} for the {title}: {abs(points):.1f} points "
        f"{verdict} after training."
    )


def of_same_class(stages: Sequence[Values]) -> str:
    """Average precision of the cosine alone, against chance and between stages."""
    known = [
        (one["title"], one["same_class"]) for one in stages if one["same_class"]["area"] is not None
    ]
    if not known:
        return ""
    title, first = known[0]
    if len(known) == 1:
        times = first["area"] / first["chance"] if first["chance"] else math.nan
        return (
            "Sorting pairs of patches by cosine alone finds those of the same class with an "
            f"average precision of {_percent(first['area'])}, {times:.1f} times chance level "
            f"({_percent(first['chance'])})."
        )
    last_title, last = known[-1]
    points = 100 * (last["area"] - first["area"])
    verdict = "better" if points > 0 else "worse"
    return (
        f"Whatever the settings, the cosines of the {last_title} tell classes apart {verdict} "
        f"than those of the {title}: average precision {_percent(last['area'])} against "
        f"{_percent(first['area'])}; chance is {_percent(first['chance'])}."
    )


def of_sweep(sweep: Values) -> str:
    """Where F1 is highest, and how far around it stays so."""
    cells = [cell for row in sweep["cells"] for cell in row]
    known = [cell for cell in cells if cell["f1"] is not None]
    if not known:
        sizes = [cell["positives"] for cell in cells if cell["positives"] is not None]
        if not sizes:
            return ""
        return (
            f"Over this grid, an anchor has {_count(min(sizes))} to {_count(max(sizes))} "
            "positives; without labels, there is no telling how many are correct."
        )
    best = max(known, key=lambda cell: float(cell["f1"]))
    near = sum(100 * (best["f1"] - cell["f1"]) <= NEAR for cell in known)
    where = ", ".join(
        f"{sweep[axis]['symbol']} {best['settings'][sweep[axis]['setting']]:g}" for axis in "xy"
    )
    rest = near - 1
    how = (
        f"{rest} other setting{'s' if rest != 1 else ''} of {len(known)} come"
        f"{'s' if rest == 1 else ''} within {NEAR:g} points"
        if rest
        else f"no other of the {len(known)} settings comes within {NEAR:g} points"
    )
    return f"F1 is highest at {where}: {_percent(best['f1'])}; {how}."


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _ends(ends: Sequence[float | None] | None, sign: int = 1) -> str:
    """Two shares in per cent; empty where there are none."""
    low, high = ends or (None, None)
    if low is None or high is None:
        return ""
    written = (f"{sign * 100 * end:.1f}".replace("-", "−") for end in (low, high))
    return " to ".join("0.0" if text == "−0.0" else text for text in written)


def _listed(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
