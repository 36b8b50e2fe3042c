from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.data import samples_dataset
from ppap.propagation import propagate
from ppap.rivals import RULES
from ppap.studio import networks
from ppap.studio.explore.exports import TYPES, as_python, panel
from ppap.studio.explore.looks.base import Look, Panel
from ppap.studio.store import Held
from tests.support.small_studio import SmallStudio, load_tiny

SETTINGS = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3.0, "sigma_amb": 4.0, "steps": 3}
# Few enough for 4 × 49 patches.
PARAMETERS = {"knn": {"k": 20}, "kmeans": {"clusters": 5, "seed": 3}, "hp": {"pool_size": 9}}
SEEN = ("positive", "ambiguous", "negative")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallStudio:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)
    return SmallStudio(tmp_path)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallStudio]:
    """A studio with the embedded backbone; its folder offers four crops of sample photos."""
    studio = SmallStudio(tmp_path_factory.mktemp("studio"))
    photos = samples_dataset()
    for i in range(4):
        rgb = photos.load(i).photo.rgb
        Image.fromarray(rgb[:300, 20:400]).save(studio.offered / f"crop {i}.png")
    yield studio
    studio.loader.close()


def request(batch: dict[str, Any], rule: str = "", **more: Any) -> dict[str, Any]:
    rival = {"rule": rule, "parameters": PARAMETERS.get(rule, {})} if rule else None
    anchor = batch.get("anchor", 5)
    rest = {"anchor": anchor, "settings": SETTINGS, "rival": rival, "step": 3}
    return {"batch": batch["batch"], **rest, **more}


def saved(studio: SmallStudio, batch: dict[str, Any], format: str, **more: Any) -> bytes:
    return studio.server.file(request(batch, format=format, **more)).data


def samples(studio: SmallStudio) -> dict[str, Any]:
    return studio.load()


def test_json_holds_what_propagate_gives(tiny: SmallStudio) -> None:
    batch = samples(tiny)
    found = json.loads(saved(tiny, batch, "json"))
    held = tiny.store.get(batch["batch"])
    sets = propagate(held.batch.features, torch.tensor([batch["anchor"]]), **SETTINGS)  # type: ignore[arg-type]
    assert found["batch"]["images"] == list(held.batch.names)
    assert found["batch"]["backbone"] == "embedded"
    assert found["anchor"]["index"] == batch["anchor"]
    where = held.batch.index(*(found["anchor"][name] for name in ("image", "row", "column")))
    assert where == batch["anchor"]
    (rule,) = found["rules"]
    assert (rule["rule"], rule["settings"]) == ("ppap", SETTINGS)
    assert [step["step"] for step in rule["steps"]] == [0, 1, 2, 3]
    for t, step in enumerate(rule["steps"]):
        assert step["phi"] == pytest.approx(float(sets.phi[t, 0]))
        assert step["psi"] == pytest.approx(float(sets.psi[t, 0]))
        for name, members in sets.at(t)._asdict().items():
            assert step[f"{name}_patches"] == members[0].nonzero().flatten().tolist()
            assert step[name] == len(step[f"{name}_patches"])


def test_npz_holds_what_propagate_gives(tiny: SmallStudio) -> None:
    batch = samples(tiny)
    data = saved(tiny, batch, "npz", rule="knn")
    held = tiny.store.get(batch["batch"])
    sets = propagate(held.batch.features, torch.tensor([batch["anchor"]]), **SETTINGS)  # type: ignore[arg-type]
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        assert arrays["images"].tolist() == list(held.batch.names)
        assert arrays["grid"].tolist() == [[7, 7]] * 6
        assert arrays["anchor"].tolist() == [batch["anchor"]]
        for name in SEEN:
            expected = torch.stack([getattr(sets.at(t), name)[0] for t in range(4)])
            assert arrays[f"ppap_{name}"].tolist() == expected.tolist()
        for name in ("proxies", "phi", "psi", "moved"):
            np.testing.assert_allclose(arrays[f"ppap_{name}"], getattr(sets, name)[:, 0], atol=1e-6)
        cosines = arrays["ppap_proxies"] @ held.batch.features.numpy().T
        np.testing.assert_allclose(arrays["ppap_similarity"], cosines, atol=1e-5)
        assert arrays["knn_positive"].sum() == 20
        assert arrays["knn_positive"].shape == (1, len(held.batch.features))


@pytest.mark.parametrize("format", TYPES)
def test_every_format_is_a_file_of_its_kind(tiny: SmallStudio, format: str) -> None:
    batch = samples(tiny)
    file = tiny.server.file(request(batch, "knn", format=format))
    row, column = divmod(batch["anchor"], 7)
    assert file.name == f"ppap-0-{row}-{column}-step3.{format}"
    assert file.type == TYPES[format]
    starts = {"png": b"\x89PNG", "svg": b"<svg", "json": b"{", "npz": b"PK", "py": b"import torch"}
    assert file.data.startswith(starts[format])
    if format != "npz":
        assert (b"k nearest" in file.data) == (format in ("svg", "json", "py"))


def test_captions_say_what_is_shown(tiny: SmallStudio) -> None:
    batch = samples(tiny)
    svg = saved(tiny, batch, "svg", step=1, rule="kmeans").decode()
    svg = svg.replace("</text>\n<text", "<text")  # captions are broken into lines
    svg = re.sub(r'<text x="\d+" y="\d+" fill="#141822">', " ", svg)
    step = json.loads(saved(tiny, batch, "json"))["rules"][0]["steps"][1]
    counts = ", ".join(f"{step[name]} {name}" for name in SEEN)
    assert f"PPAP: {counts}" in svg
    assert "step 1, Φ⁰=0.6, Ψ⁰=0.3, σ_pos=3, σ_amb=4, T=3" in svg
    assert "clusters=5, seed=3" in svg
    assert svg.count("pink frame: anchor") == 2
    assert svg.count("pink ring: nearest to the proxy") == 1  # k-means moves no proxy


def captions(
    studio: SmallStudio, batch: dict[str, Any], symbols: bool, rule: str, style: str = "sets"
) -> list[Panel]:
    held = studio.store.get(batch["batch"])
    views = studio.server.shown(held, request(batch, rule))
    assert views.rival
    return [
        panel(held.batch, shown, step, Look(style), symbols)
        for shown in (views.own, views.rival)
        for step in (0, 3)
    ]


def test_png_captions_hold_no_letter_that_pillow_s_font_lacks(tiny: SmallStudio) -> None:
    for style in ("sets", "similarity"):
        for one in captions(tiny, samples(tiny), False, "hp", style):
            assert all(line.isascii() for line in one.lines)
    text = captions(tiny, samples(tiny), False, "hp")[1].lines[1]
    assert "step 3, phi0=0.6, psi0=0.3, sigma_pos=3, sigma_amb=4, steps=3" in text
    assert "pool=9, ρ=0.02, seed=0" in captions(tiny, samples(tiny), True, "hp")[2].lines[1]


def test_the_ring_is_around_the_patch_nearest_to_a_proxy_that_moved(tiny: SmallStudio) -> None:
    batch = samples(tiny)
    first, last, *rival = captions(tiny, batch, True, "knn")
    assert first.nearest is None
    assert [one.nearest for one in rival] == [None, None]
    held = tiny.store.get(batch["batch"])
    sets = propagate(held.batch.features, torch.tensor([batch["anchor"]]), **SETTINGS)  # type: ignore[arg-type]
    assert last.nearest == int((held.batch.features @ sets.proxies[3, 0]).argmax())


def run(lines: str) -> list[tuple[int, ...]]:
    """Run lines of Python as they are; the numbers of each line they print."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(lines, "lines.py", "exec"), {"__name__": "__main__"})
    return [tuple(map(int, line.split())) for line in out.getvalue().splitlines()]


def counts(reply: dict[str, Any], view: str) -> tuple[int, ...]:
    last = reply[view]["steps"][-1]
    return tuple(last[name] for name in SEEN)


@pytest.mark.parametrize("rule", ["", *(key for key in RULES if key != "ppap")])
def test_the_lines_of_python_print_the_page_s_counts(real: SmallStudio, rule: str) -> None:
    batch = real.load()
    shown = real.ask("gather", request(batch, rule))
    printed = run(saved(real, batch, "py", rule=rule).decode())
    assert printed[0] == counts(shown, "view")
    assert 10 < printed[0][0] < 1000
    if rule:
        assert printed[1] == counts(shown, "rival")
        assert printed[1][0] > 0


def test_the_lines_work_for_a_folder(real: SmallStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    (real.offered / "crop 2b.png").write_text("no photo")
    batch = real.load(source="folder", folder=str(real.offered), count=3, seed=1)
    (real.offered / "crop 2b.png").unlink()
    (real.offered / "crop 2b.png").write_text("still no photo")
    shown = real.ask("gather", request(batch, "hp"))
    assert shown["rival"]["steps"][0]["positive"] > 0
    assert run(saved(real, batch, "py", rule="hp").decode()) == [
        counts(shown, "view"),
        counts(shown, "rival"),
    ]
    # The shell's ~ is no path for Python.
    monkeypatch.setenv("HOME", str(real.root))
    batch = real.load(source="folder", folder="~/offered", count=2)
    shown = real.ask("gather", request(batch))
    assert run(saved(real, batch, "py").decode()) == [counts(shown, "view")]


def test_the_lines_work_for_files_once_the_folder_is_set(real: SmallStudio) -> None:
    sent = []
    for i in (2, 0):
        path = real.uploads / f"{i}.png"
        path.write_bytes((real.offered / f"crop {i}.png").read_bytes())
        sent.append({"path": str(path), "name": f"crop {i}.png"})
    broken = real.uploads / "broken.png"
    broken.write_text("no photo")
    sent.insert(1, {"path": str(broken), "name": "broken.png"})
    batch = real.load(source="files", files=sent)
    lines = saved(real, batch, "py").decode()
    assert str(real.root) not in lines
    assert "broken.png" not in lines
    shown = real.ask("gather", request(batch))
    lines = lines.replace('Path(".")', f"Path({str(real.offered)!r})")
    assert run(lines) == [counts(shown, "view")]


@pytest.mark.parametrize(
    "recipe",
    [
        {"source": "files", "files": ['a"\n.png']},
        {"source": "folder", "folder": "C:\\new 'photos'\"", "split": "va'l", "indices": (1,)},
        {"source": "folder", "folder": '""");import os', "split": "\\", "indices": ()},
        {"source": "samples"},
    ],
    ids=["files", "folder", "quotes", "samples"],
)
def test_odd_names_leave_the_lines_python(tiny: SmallStudio, recipe: dict[str, Any]) -> None:
    batch = samples(tiny)
    held = tiny.store.get(batch["batch"])
    names = ('a"\n.png', *held.batch.names[1:])
    for backbone in ("embedded", "checkpoint", "x'\\"):
        full = {**recipe, "backbone": backbone, "checkpoint": "/a'b\\n.pth", "size": 224}
        odd = Held("key", replace(held.batch, names=names), full)
        own = tiny.server.shown(odd, request(batch)).own
        tree = compile(as_python(odd, [own]), "lines.py", "exec")
        texts = [c for c in tree.co_consts if isinstance(c, str)]
        if backbone == "checkpoint":
            assert "/a'b\\n.pth" in texts
        if recipe["source"] == "folder":
            assert recipe["folder"] in texts


def test_a_checkpoint_is_given_as_a_path(tiny: SmallStudio) -> None:
    file = tiny.root / "weights"
    file.write_bytes(b"weights")
    batch = tiny.load(backbone="checkpoint", checkpoint=str(file))
    lines = saved(tiny, batch, "py").decode()
    assert lines.startswith("from pathlib import Path\n")
    assert f"load_backbone(Path({str(file)!r}))" in lines


def test_a_checkpoint_with_a_name_before_it_is_given_as_it_is(tiny: SmallStudio) -> None:
    held = tiny.store.get(samples(tiny)["batch"])
    named = "dinov2_vits14@/weights/x.pth"
    recipe = {"source": "samples", "backbone": "checkpoint", "checkpoint": named}
    one = Held("key", held.batch, recipe)
    lines = as_python(one, [tiny.server.shown(one, request({"batch": held.key})).own])
    assert f"load_backbone({named!r})" in lines
    assert "Path(" not in lines


def test_the_size_in_the_lines_is_the_one_the_backbone_took(tiny: SmallStudio) -> None:
    batch = tiny.load(backbone="tiny14", size=320)
    assert "size=322)" in saved(tiny, batch, "py").decode()
