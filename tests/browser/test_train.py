"""The Train page: a small run is started, watched, left alone, stopped, resumed and deleted."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Running, pages, studio, until
from tests.browser.looks import check_both_themes
from tests.support.seeded_runs import finished
from tests.support.small_studio import draw
from trainers.launching.arranging import Arranging
from trainers.launching.queue import waiting
from trainers.launching.runner import Runner
from trainers.recipes import find
from trainers.runs.folder import RunError
from trainers.runs.launch import Launch, read_launch, write_launch
from trainers.runs.notes import Notes, read_notes
from trainers.runs.pictured import Pictured, write_pictured

# Five steps a round of the sample photos, small: seconds each, until somebody stops it.
SMALL = {
    "Data": {"size": "64", "eval_size": "64"},
    "Training": {"batch": "6", "epochs": "500"},
    "Probes": {"probe_epochs": "0"},
    "Validation and checkpoints": {"validate_every": "2", "log_every": "1"},
    "Machine": {"cache": "off"},
}


# Seed 0 twice, of which one has not finished; seed 2 has not; seed 4 has no report.
FOLDED = """
async () => {
  const at = (name) => import(new URL(`studio/static/train/${name}.js`, document.baseURI));
  const [{ groups, meanOf, meanText, meanAbout }, { COLUMNS }] = [await at("fold"), await at("columns")];
  const run = (name, seed, state, u_miou, source = "report", fold = "f") => ({ name, seed, state, fold, asked: 0, scores: { source, step: 1, split: "val", rows: [{ way: "", u_miou }] } });
  const runs = [run("again", 0, "running", 90), run("s0", 0, "finished", 20), run("s1", 1, "finished", 40), run("s2", 2, "running", 80), run("s4", 4, "finished", 70, "validation"), run("alone", 1, "finished", 5, "report", "g"), run("unknown", 1, "finished", 5, "report", "")];
  const column = COLUMNS.find(({ key }) => key === "u_miou");
  const [group] = groups(runs);
  const mean = meanOf(column, "", group.runs);
  return [groups(runs).map((one) => one.runs.map(({ name }) => name)), meanText(mean, 1), meanAbout(mean, group.runs, ""), meanText(meanOf(column, "crf", group.runs), 1)];
}
"""

# What the form says after Start, of a run that waits.
STARTED = """
(name) => {
  const { form } = document.querySelector("#train").train;
  form.startedName = name;
  form.sayStarted({ name, state: "queued", text: "Waiting." });
}
"""

# A suggestion during which something else is typed, then one that is given up before it has a key.
MEANWHILE = """
async () => {
  const { Suggest } = await import(new URL("studio/static/train/suggest.js", document.baseURI));
  const job = { key: "k", state: "running", text: "", share: 0, advice: { pure: { settings: {}, reasons: [] } } };
  const said = [];
  const suggested = async ({ cancel }) => {
    if (cancel) Object.assign(job, { state: "cancelled" }, said.push("cancelled"));
    return { ...job };
  };
  const server = { suggest: async () => ({ ...job }), suggested };
  const suggest = new Suggest(server, { request: () => ({}), take: () => said.push("taken"), refused: ({ message }) => said.push(message) });
  const ask = async (meanwhile) => {
    Object.assign(job, { state: "running" });
    const done = suggest.use("pure");
    await meanwhile();
    await done;
    said.push(suggest.reasons.textContent);
  };
  await ask(() => suggest.explain([]));
  await ask(() => suggest.cancel());
  return said;
}
"""

# A series may be called anything.
NAMED = """
() => {
  const { train } = document.querySelector("#train");
  const series = JSON.parse('{"step": {"__proto__": {"x": [1], "y": [2]}, "toString": {"x": [1], "y": [3]}}}');
  train.take("named", { reset: true, cursor: {}, series });
  const found = Object.entries(train.followed.get("named").series.step).map(([name, { y }]) => [name, ...y]);
  train.followed.delete("named");
  return found;
}
"""


@contextmanager
def runs_in(root: Path) -> Iterator[Runner]:
    """The runs in a folder; whatever still runs in the end is killed."""
    runner = Runner(root)
    yield runner
    for one in runner.runs():
        with contextlib.suppress(RunError):
            runner.stop(one.name)
            runner.stop(one.name, now=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with runs_in(tmp_path_factory.mktemp("train") / "runs") as runner:
        yield runner


@pytest.fixture(scope="module")
def running(runs: Runner) -> Iterator[Running]:
    with studio(["--runs", str(runs.root)]) as started:
        yield started


@pytest.fixture
def open_train(browser: Browser, running: Running) -> Iterator[Callable[..., Page]]:
    with pages(browser, running.url) as open_it:

        def on_train(query: str = "", width: int = 1440) -> Page:
            page = open_it(query, width=width)
            show_train(page)
            return page

        yield on_train


def show_train(page: Page) -> None:
    page.get_by_role("tab", name="Train").click()
    page.locator("#train [data-part=command]").wait_for()


def set_all(page: Page, groups: dict[str, dict[str, str]]) -> None:
    for group, settings in groups.items():
        page.locator(f"#train [data-group='{group}'] summary").click()
        for name, value in settings.items():
            field = page.locator(f"#train [data-setting={name}]")
            if field.evaluate("(e) => e.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)


def badge(page: Page, text: str, seconds: int = 90) -> None:
    expect(page.locator("#train .run .badge")).to_have_text(text, timeout=1000 * seconds)


def wait_for_step(page: Page, step: int) -> None:
    """Until the run that is looked at has come further."""
    until(
        page,
        "(step) => document.querySelector('#train').train.view.run.step > step",
        arg=step,
        timeout=120_000,
    )


def command_holds(page: Page, text: str) -> None:
    until(
        page,
        "(t) => document.querySelector('#train [data-part=command]').value.includes(t)",
        arg=text,
    )


def test_fields_are_checked_as_they_are_typed(
    open_train: Callable[..., Page], runs: Runner
) -> None:
    page = open_train()
    command_holds(page, "trainers.train samples")
    for name, bad in (("../out", "name"), ("--flag", "name"), ("a; touch x", "name")):
        page.locator("#train [data-part=name]").fill(name)
        expect(page.locator(f"#train [data-error={bad}]")).to_contain_text("cannot be")
    page.locator("#train [data-part=name]").fill("fine")
    expect(page.locator("#train [data-error=name]")).to_be_hidden()
    page.locator("#train [data-group=Rule] summary").click()
    for value in ("nan", "1e9", "<b>x</b>"):
        page.locator("#train [data-setting=phi0]").fill(value)
        expect(page.locator("#train [data-error=phi0]")).to_contain_text("phi0 must be")
    page.locator("#train [data-setting=phi0]").fill("0.45")
    command_holds(page, "--set phi0=0.45")
    only, reset = page.locator("#train [data-part=only]"), page.locator("#train [data-back=phi0]")
    expect(only).to_have_text("Changed (1)")
    expect(reset).to_have_attribute("title", f"Reset to {find('samples').config.phi0}")
    page.locator("#train [data-setting=psi0]").fill("0.5")
    expect(page.locator("#train [data-note=psi0]")).to_contain_text("no ambiguous zone")
    only.click()
    expect(page.locator("#train .set:visible")).to_have_count(2)
    page.locator("#train [data-back=psi0]").click()
    expect(page.locator("#train [data-note=psi0]")).to_be_hidden()
    expect(page.locator("#train [data-setting=psi0]")).to_be_focused()
    only.click()
    # Only what the rule reads is asked for, shown and counted; it stays typed.
    page.locator("#train [data-setting=rule]").select_option("knn")
    expect(page.locator("#train [data-setting=k_share]")).to_be_visible()
    expect(page.locator("#train [data-setting=phi0]")).to_be_hidden()
    expect(page.locator("#train [data-part=suggest]")).to_be_hidden()
    command_holds(page, "--set rule=knn")
    expect(page.locator("#train [data-part=command]")).not_to_have_value(re.compile("phi0"))
    find_it = page.get_by_role("searchbox", name="Search the settings")
    find_it.fill("phi0")
    expect(page.get_by_text("phi0 is used only by PPAP, TPS only, ANS only")).to_be_visible()
    find_it.fill("learning network")
    expect(page.locator("#train .set:visible")).to_have_count(2)  # lr, and schedule
    expect(page.locator("#train [data-setting=lr]")).to_be_visible()
    # Everything goes back, and comes again.
    page.get_by_role("button", name="Reset all").click()
    command_holds(page, "runs/fine")
    expect(page.locator("#train [data-part=command]")).not_to_have_value(re.compile("--set"))
    page.get_by_role("button", name="Undo").click()
    command_holds(page, "--set rule=knn")
    # What is wrong is counted beside Start, and a click leads there.
    page.locator("#train [data-part=recipe]").select_option("own")
    page.locator("#train [data-part=data]").fill("/gone")
    faults = page.locator("#train [data-part=faults]")
    expect(faults).to_have_text("1 thing to fix: data set")
    command_holds(page, "trainers.train own --data=/gone")
    expect(page.locator("#train [data-part=command-said]")).to_contain_text("There is no folder")
    page.locator("#train [data-setting=lr]").fill("x")
    expect(faults).to_have_text("2 things to fix: data set, lr")
    faults.get_by_role("button").click()
    expect(page.locator("#train [data-part=data]")).to_be_focused()
    expect(find_it).to_have_value("")
    find_it.press("Enter")  # searches, and starts nothing
    # Thresholds for one's own images, which need no labels.
    page.get_by_role("button", name="Reset all").click()
    for number in range(12):
        draw(runs.root.parent / f"photos/{number}.png", number)
    page.locator("#train [data-part=data]").fill(str(runs.root.parent / "photos"))
    expect(faults).to_be_hidden()
    expect(page.locator("#train .path-field .about:visible")).to_contain_text("12 images")
    page.get_by_role("button", name="Complete most of the class").click()
    reasons = page.locator("#train .suggest .reasons")
    expect(reasons).to_contain_text("of the positives should be")
    expect(reasons).to_contain_text("From 10 of 12 training images")
    phi0 = page.locator("#train [data-setting=phi0]")
    expect(phi0).not_to_have_value(str(find("own").config.phi0))
    command_holds(page, f"--set phi0={phi0.input_value()}")
    expect(page.locator("#train [data-part=needs]")).to_contain_text("ends without scores")
    phi0.fill("0.5")
    expect(reasons).to_be_hidden()  # they were those of another value
    changed = "The images or settings have changed. Suggest again."
    assert page.evaluate(MEANWHILE) == ["cancelled", changed, "cancelled", ""]
    assert page.evaluate(NAMED) == [["__proto__", 2], ["toString", 3]]
    assert not runs.root.exists() or runs.runs() == []


def test_settings_carry_over_from_explore(open_train: Callable[..., Page]) -> None:
    page = open_train()
    page.get_by_role("tab", name="Explore").click()
    field = page.locator("input[data-exact=phi0]")
    field.fill("0.71")
    field.press("Enter")
    # Both pages say the same where there is no ambiguous zone.
    said = page.locator("#explore [data-note=psi0]")
    expect(said).to_be_hidden()
    psi0 = page.locator("input[data-exact=psi0]")
    psi0.fill("0.71")
    psi0.press("Enter")
    expect(said).to_contain_text("no ambiguous zone")
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("button", name="Take settings from Explore").click()
    command_holds(page, "phi0=0.71 psi0=0.71")
    expect(page.locator("#train [data-note=psi0]")).to_have_text(said.text_content() or "")


def test_a_run_from_its_start_to_its_end(open_train: Callable[..., Page], runs: Runner) -> None:
    page = open_train()
    page.locator("#train [data-part=name]").fill("watched")
    set_all(page, SMALL)
    command_holds(page, "epochs=500")
    expect(page.locator("#train [data-part=needs]")).to_contain_text("steps on", timeout=90_000)
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator("#train .run h2")).to_be_focused()
    expect(page.locator("#train .run h2")).to_have_text("watched")
    badge(page, "running")
    # Curves grow.
    until(
        page,
        "document.querySelector('#train').train.followed.get('watched')?.series.step?.loss?.x.length > 3",
        timeout=120_000,
    )
    expect(page.locator("#train [data-chart=loss]")).to_be_visible()
    page.locator("#train .predictions canvas[data-drawn]").first.wait_for(timeout=120_000)
    until(page, "document.querySelector('#train .predictions canvas[data-drawn]').width === 64")
    expect(page.get_by_role("log")).to_contain_text("Step 1 of")
    # A second run waits.
    page.locator("#train [data-part=name]").fill("second")
    page.get_by_role("button", name="Start", exact=True).click()
    badge(page, "queued")
    # The page is left and opened again; another browser sees the same.
    page.reload()
    show_train(page)
    expect(page.locator("#train .runs tbody tr:not(.sample)")).to_have_count(2)
    other = open_train()
    expect(other.locator("#train .runs tr[data-run=watched] .badge")).to_have_text("running")
    expect(other.locator("#train .runs tr[data-run=second] .badge")).to_contain_text("queued")
    page.locator("#train .runs tr[data-run=second] .open").click()
    page.get_by_role("button", name="Remove from queue").click()
    badge(page, "stopped")
    # Stopped with a checkpoint, resumed, and used in Explore.
    page.locator("#train .runs tr[data-run=watched] .open").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    badge(page, "stopped")
    assert (runs.root / "watched/checkpoints/last.pt").exists()
    step = runs.standing("watched").step
    page.get_by_role("button", name="Resume", exact=True).click()
    badge(page, "running")
    wait_for_step(page, step)
    # Killed from outside, it has failed, says so, and can go on.
    launch = read_launch(runs.root / "watched")
    assert launch is not None
    assert launch.trainer is not None
    os.kill(launch.trainer.pid, signal.SIGKILL)
    badge(page, "failed")
    expect(page.locator("#train .run .reason")).to_contain_text("killed")
    page.get_by_role("button", name="Resume", exact=True).click()
    badge(page, "running")
    page.get_by_role("button", name="Stop", exact=True).click()
    badge(page, "stopped")
    page.get_by_role("searchbox", name="Search the log").fill("continuing from")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_label("Lines found")).to_contain_text("Continuing from")
    page.get_by_role("button", name="Settings to Explore").click()
    expect(page.locator("input[data-exact=phi0]")).to_have_value(str(find("samples").config.phi0))
    # Its checkpoint is taken to the other tabs.
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("button", name="Open in Evaluate").click()
    expect(page.locator("#evaluate").get_by_label("Checkpoint", exact=True)).to_have_value(
        '["watched","last"]'
    )
    # Nobody takes another run's scores for its own.
    expect(page.locator("#evaluate")).to_contain_text("watched has no report yet. Press Evaluate")
    expect(page.locator("#evaluate .subject")).to_have_count(0)
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("button", name="Open in Segment").click()
    page.wait_for_selector("#segment .stage[data-title*=watched]", timeout=120_000)
    page.get_by_role("tab", name="Train").click()
    # Two runs side by side; one is deleted, after it was said what goes.
    for name in ("watched", "second"):
        page.locator(f"#train .runs tr[data-run={name}] input").check()
    page.get_by_role("button", name="Compare 2").click()
    numbers = page.get_by_role("dialog").get_by_role("region", name="Numbers")
    expect(numbers.locator("thead th:first-child")).to_contain_text(["Last training step"])
    row = numbers.locator("[data-compared='validation: cluster_miou']")
    expect(row.get_by_role("rowheader")).to_have_text("U-mIoU, %")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text("It cannot be undone")
    page.get_by_role("button", name="Delete watched").click()
    expect(page.locator("#train .runs tbody tr:not(.sample)")).to_have_count(1)
    assert [one.name for one in runs.runs()] == ["second"]


def write_waiting(runs: Runner, name: str, since: float) -> None:
    """A run that waits for its turn, as the list sees it."""
    folder = runs.root / name
    folder.mkdir()
    about = {"recipe": "samples", "data": None, "settings": {}, "config": {"rule": "knn"}}
    launch = Launch(("-c", ""), "cpu", "cpu", since, queued=since, about=about)
    write_launch(folder, launch)


def names_listed(page: Page, names: list[str]) -> None:
    """The runs of the list come to be these, in their order; groups by the stem of their names."""
    expect(page.locator("#train .runs tbody tr:not(.sample) .name")).to_have_text(names)


def test_the_list_sorts_folds_tags_and_waits(open_train: Callable[..., Page], runs: Runner) -> None:
    for one in runs.runs():
        runs.delete(one.name)
    miou = {}
    for name, seed, skill, phi0 in (
        ("ab-s0", 0, 0.7, 0.6),
        ("ab-s1", 1, 0.8, 0.6),
        ("b", 0, 0.9, 0.5),
    ):
        run = finished(runs.root, name, seed, skill=skill, phi0=phi0)
        miou[name] = json.loads((run.folder / "report.json").read_text())["cluster"]["miou"]
    arranging = Arranging(runs)
    arranging.pause()
    write_waiting(runs, "w1", 2e9)
    write_waiting(runs, "w2", 2.1e9)
    page = open_train()
    names_listed(page, ["w2", "w1", "b", "ab 2 seeds"])
    # Seeds of one run are one row, with the mean of those that have finished.
    fold = page.locator("#train tr.fold")
    mean, spread = statistics.mean(two := [miou["ab-s0"], miou["ab-s1"]]), statistics.stdev(two)
    expect(fold.locator(".of-u_miou")).to_have_text(f"{mean:.1f} ± {spread:.1f} (2)")
    fold.locator(".open").click()
    names_listed(page, ["w2", "w1", "b", "ab 2 seeds", "ab-s1", "ab-s0"])
    # Sorted by a click, and by the keyboard the other way round.
    head = page.locator("#train th.of-u_miou")
    head.get_by_role("button").click()
    names_listed(page, ["b", "ab 2 seeds", "ab-s1", "ab-s0", "w2", "w1"])
    expect(head).to_have_attribute("aria-sort", "descending")
    page.keyboard.press("Enter")
    names_listed(page, ["ab 2 seeds", "ab-s0", "ab-s1", "b", "w2", "w1"])
    expect(head).to_have_attribute("aria-sort", "ascending")
    # Columns, order and what is unfolded stay in the link.
    page.locator("#train .columns-menu summary").click()
    page.get_by_label("Seed", exact=True).check()
    page.keyboard.press("Escape")
    expect(page.locator("#train tr[data-run=ab-s1] .of-seed")).to_have_text("1")
    until(page, "location.search.includes('columns=') && location.search.includes('unfolded=')")
    page.reload()
    names_listed(page, ["ab 2 seeds", "ab-s0", "ab-s1", "b", "w2", "w1"])
    expect(page.locator("#train tr[data-run=ab-s1] .of-seed")).to_have_text("1")
    # A run's page: its score, and what differs from its recipe.
    page.locator("#train tr[data-run=b] .open").click()
    expect(page.locator("#train [data-score=u_miou] dd")).to_have_text(f"{miou['b']:.1f} %")
    changed = page.get_by_role("region", name="Changed settings").locator("[data-configured=phi0]")
    expect(changed).to_contain_text(f"0.5{find('samples').config.phi0}")
    expect(page.locator("#train .run .facts")).not_to_contain_text("exit status")
    page.get_by_role("button", name="See the report").click()
    page.locator("#evaluate li.current[data-report=b]").wait_for()
    page.get_by_role("tab", name="Train").click()
    # Tags and a note: refused at the field, saved, and searched for.
    page.get_by_role("button", name="Add tags or a note").click()
    page.get_by_label("Tags, separated by commas or spaces").fill("base<line")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#train [data-error=tags]")).to_contain_text("cannot be a tag")
    page.get_by_label("Tags, separated by commas or spaces").fill("baseline, paper")
    note = page.get_by_label("Note", exact=True)
    note.fill("As in Table 3.")
    # It stays typed while another run is looked at.
    page.locator("#train tr[data-run=ab-s0] .open").click()
    expect(page.locator("#train .run h2")).to_have_text("ab-s0")
    expect(note).to_be_hidden()
    page.locator("#train tr[data-run=b] .open").click()
    expect(note).to_have_value("As in Table 3.")
    page.get_by_role("button", name="Save").click()
    expect(note).to_be_hidden()
    page.locator("#train tr[data-run=b]").get_by_role("button", name="paper").click()
    names_listed(page, ["b"])
    expect(page.locator("#train .notes-of-run .note")).to_have_text("As in Table 3.")
    assert read_notes(runs.root / "b") == Notes(("baseline", "paper"), "As in Table 3.")
    page.locator("#train tr[data-run=b]").get_by_role("button", name="paper").click()
    # The queue is paused; its runs change places, and go on being there for another studio.
    notice = page.locator("#train .queue-notice")
    expect(notice).to_contain_text("The queue has been paused since")
    expect(page.locator("#train tr[data-run=w2] .badge")).to_have_text("queued #2")
    page.get_by_role("button", name="Move to the front of the queue: w2").click()
    expect(page.locator("#train tr[data-run=w2] .badge")).to_have_text("queued #1")
    assert [folder.name for folder in waiting(runs.root)] == ["w2", "w1"]
    # Each says why it waits; what was said at its start is not said for longer than it holds.
    for name in ("w1", "w2"):
        page.locator(f"#train tr[data-run={name}] .open").click()
        expect(page.locator("#train .run h2")).to_have_text(name)
        expect(page.locator("#train .run > .card-body > .said")).to_contain_text(
            "Waiting: the queue"
        )
    page.evaluate(STARTED, "w1")
    started = page.locator("#train .start-bar .said")
    expect(started).to_have_text("w1 is queued. Waiting.")
    for name in ("w1", "w2"):
        runs.stop(name)
    expect(started).to_have_text("")
    page.get_by_role("button", name="Resume queue").click()
    expect(notice).to_be_hidden()
    assert arranging.paused().since is None
    # Runs of one kind only make a mean, each seed once.
    assert page.evaluate(FOLDED) == [
        [["s0", "s1", "s2", "s4"]],
        "30.0 ± 14.1 (2)",
        "Mean ± standard deviation of 2 of 4 runs, seeds 0, 1",
        "–",
    ]


NO_PREDICTIONS = (
    "predictions. They are made at each validation (validate_every), which needs images with "
    "label maps."
)
# The classes of small predictions, and their colours.
SKY, SEA, SAND = [80, 160, 250], [0, 60, 140], [230, 210, 120]


def write_predictions(folder: Path, steps: dict[int, list[int]]) -> None:
    """Pictures of two images: the truth is half sky and half sand; all is predicted as one class."""
    about = Pictured("val", ["sky", "sea", "sand"], [SKY, SEA, SAND], images={0: "one", 3: "two"})
    (folder / "pictures").mkdir()
    write_pictured(folder, about)
    for step, colour in steps.items():
        strip = np.zeros((8, 32, 3), np.uint8)
        strip[:, :8] = 100
        strip[:4, 8:16], strip[4:, 8:16] = SKY, SAND
        strip[:, 16:24], strip[:, 24:] = colour, SEA
        for image in (0, 3):
            file = folder / f"pictures/step-{step:08d}-image-{image:04d}.png"
            Image.fromarray(strip).save(file)


PIXELS = """(wanted) => {
  const cells = [...document.querySelectorAll('#train .predictions tbody tr:first-child canvas')];
  const found = cells.map((one) => {
    if (one.hidden) return null;
    return [...one.getContext('2d').getImageData(2, 2, 1, 1).data].slice(0, 3);
  });
  const like = (a, b) => (a && b ? a.every((value, i) => Math.abs(value - b[i]) < 3) : a === b);
  return found.length === wanted.length && found.every((one, i) => like(one, wanted[i]));
}"""


def test_predictions_of_several_runs_on_the_same_images(
    open_train: Callable[..., Page], running: Running, runs: Runner
) -> None:
    for run in runs.runs():
        runs.delete(run.name)
    for name, seed, phi0, steps in (
        ("late", 0, 0.6, {20: SEA}),
        ("early", 1, 0.6, {10: SAND, 20: SKY}),
        ("other", 2, 0.5, {10: SEA}),
    ):
        folder = finished(runs.root, name, seed, skill=0.8, phi0=phi0).folder
        if name != "other":
            write_predictions(folder, steps)
    page = open_train()
    page.goto(f"{running.url}?tab=train&run=early")
    photo = [100, 100, 100]
    until(page, PIXELS, arg=[photo, SKY, SKY, SEA])
    # Beside it, another run: its clusters, and what tells the two apart.
    page.evaluate("document.querySelector('#train').train.list.tick(['late', 'other'], true)")
    until(page, PIXELS, arg=[photo, SKY, SKY, SEA])
    heads = page.locator("#train .predictions thead th")
    expect(heads).to_have_text(["Image", "Truth", "earlyseed 1step 20", "lateseed 0step 20"])
    expect(page.locator("#train .predictions .help")).to_have_text(f"other: no {NO_PREDICTIONS}")
    # Each shows its last validation at or before the step.
    slider = page.locator("#train .predictions [data-part=time]")
    slider.fill("0")
    until(page, PIXELS, arg=[photo, SKY, SAND, None])
    expect(heads.nth(3)).to_contain_text("not validated yet")
    slider.fill("1")
    # The linear probe's classes; half transparent; one class alone; one image left out.
    page.get_by_role("radio", name="Classes").click()
    until(page, PIXELS, arg=[photo, SKY, SEA, SEA])
    page.locator("#train .predictions [data-part=overlay]").fill("50")
    half = [90, 130, 175]
    until(page, PIXELS, arg=[photo, half, [50, 80, 120], [50, 80, 120]])
    page.get_by_role("group", name="Classes").get_by_role("button", name="sky").click()
    until(page, PIXELS, arg=[photo, half, photo, photo])
    page.get_by_role("group", name="Images").get_by_role("button", name="two").click()
    expect(page.locator("#train .predictions tbody tr")).to_have_count(1)
    page.get_by_role("group", name="Images").get_by_role("button", name="one").click()
    expect(page.locator("#train .predictions tbody tr")).to_have_count(1)  # the last one stays
    # The link has it all.
    for part in ("layer=classes", "overlay=50", "without=3", "class=sky", "drawn=late"):
        until(page, "(part) => location.search.includes(part)", arg=part)
    page.reload()
    until(page, PIXELS, arg=[photo, half, photo, photo])
    expect(page.locator("#train .predictions tbody tr")).to_have_count(1)
    page.get_by_role("group", name="Classes").get_by_role("button", name="sky").click()
    until(page, PIXELS, arg=[photo, half, [50, 80, 120], [50, 80, 120]])
    # Alone, a run without any says so.
    page.evaluate("document.querySelector('#train').train.list.tick(['late', 'other'], false)")
    page.evaluate("document.querySelector('#train').train.open('other', true)")
    expect(page.locator("#train .predictions .help")).to_contain_text(
        f"No {NO_PREDICTIONS} The Segment"
    )
    expect(page.locator("#train .predictions .prediction-scroll")).to_be_hidden()


@pytest.mark.parametrize("width", [1440, 420])
def test_layout_contrast_and_names(open_train: Callable[..., Page], width: int) -> None:
    page = open_train("?__theme=light", width=width)
    page.locator("#train [data-group=Training] summary").click()
    check_both_themes(page, width)


def test_nothing_is_asked_while_nobody_looks(open_train: Callable[..., Page]) -> None:
    page = open_train()
    page.evaluate(
        """() => {
          const train = document.querySelector('#train').train;
          window.looks = 0;
          const look = train.look.bind(train);
          train.look = () => (window.looks++, look());
        }"""
    )
    page.get_by_role("tab", name="Explore").click()
    page.wait_for_timeout(1200)
    before = page.evaluate("window.looks")
    page.wait_for_timeout(2500)
    assert page.evaluate("window.looks") == before
    page.get_by_role("tab", name="Train").click()
    until(page, "(n) => window.looks > n", arg=before)


def test_what_was_not_drawn_at_once_is_drawn_later(open_train: Callable[..., Page]) -> None:
    page = open_train()
    drawings = page.evaluate(
        """() => {
          const train = document.querySelector('#train').train;
          let drawings = 0;
          train.charts.setRuns = () => drawings++;
          train.list.drawn = () => [{ name: 'a', colour: '#000' }];
          const look = (...steps) => {
            const series = steps.length ? { step: { loss: { x: steps, y: steps } } } : {};
            train.take('a', { cursor: null, series });
            train.showCurves();
          };
          look(1);
          train.pace.wait = () => 1e9; // too soon after the first
          look(2);
          look();
          train.pace.wait = () => 0;
          look();
          look();
          return drawings;
        }"""
    )
    assert drawings == 2
