"""Several reports beside each other: what tells them apart, and whether they can be compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ppap.evaluation.report import Report, refinements
from ppap.segmenter.inference import in_words

MOST = 4
"""Reports that one page shows."""
SAME = "The same images for all of them."


def _step(report: Report) -> str:
    return "" if report["step"] is None else f"step {report['step']:,}"


def _file(report: Report) -> str:
    return str(report["checkpoint"].replace("\\", "/").rpartition("/")[2])


def _refined(report: Report) -> str:
    found = list(refinements(report))
    return f"with {' and '.join(found)}" if found else "not refined"


def _protocol(report: Report) -> str:
    return ", ".join(report.get("protocol") or ()) or "studio"


# What headings name where it differs: how a report says it.
ASPECTS: dict[str, Callable[[Report], str]] = {
    "checkpoint": _file,
    "step": _step,
    "rule": lambda report: f"rule {report['rule']}" if report["rule"] else "",
    "recipe": lambda report: f"recipe {report['recipe']}" if report["recipe"] else "",
    "seed": lambda report: "" if report["seed"] is None else f"seed {report['seed']}",
    "backbone": lambda report: str(report["backbone"]["title"]),
    "size": lambda report: f"{report['size']} pixels",
    "refinement": _refined,
    "looks": lambda report: in_words(report.get("inference") or {}) or "one look",
    "protocol": lambda report: f"protocol {_protocol(report)}",
    "data": lambda report: f"{report['dataset']['title']}, {report['dataset']['split']}",
}
# Those that change numbers without anything having been learnt otherwise.
NOTED = {
    "refinement": "Not all of them were refined alike",
    "size": "They were scored at different sizes",
    "looks": "They looked at the images in different ways",
    "protocol": "They follow different protocols",
    "data": "They were scored on different data",
}


def headings(reports: Sequence[Report], titles: Sequence[str]) -> list[dict[str, str]]:
    """What each is called, and what tells it apart: ``title`` and ``differs``."""
    said = {name: [say(one) for one in reports] for name, say in ASPECTS.items()}
    telling = [values for values in said.values() if len(set(values)) > 1]
    told = [
        " · ".join(values[i] for values in telling if values[i] and values[i] not in titles[i])
        for i in range(len(reports))
    ]
    found = []
    for i, (title, differs) in enumerate(zip(titles, told, strict=True)):
        twins = [j for j in range(len(titles)) if (titles[j], told[j]) == (title, differs)]
        number = f" ({twins.index(i) + 1})" if len(twins) > 1 else ""
        found.append({"title": title + number, "differs": differs})
    return found


def notes(reports: Sequence[Report], titles: Sequence[str]) -> list[str]:
    """Sentences on what was not measured alike."""
    found = []
    for name, sentence in NOTED.items():
        values = [ASPECTS[name](one) for one in reports]
        if len(set(values)) > 1:
            each = "; ".join(
                f"{title}: {value}" for title, value in zip(titles, values, strict=True)
            )
            found.append(f"{sentence}. {each}.")
    return found


def same_images(one: Report, other: Report) -> bool:
    """Whether two reports are of the same images and classes."""
    return _about(one) == _about(other)


def _about(report: Report) -> Any:
    images = [(one["index"], one["name"]) for one in report.get("images") or ()]
    return report["cluster"] is not None, report["classes"], images
