"""Whose things are whose, in every store of the studio; and that nobody pushes out another's."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from fastapi import HTTPException

from ppap.data import open_dataset
from ppap.evaluation.report import FORMAT as REPORT
from ppap.studio import networks
from ppap.studio.access import sessions
from ppap.studio.access.owners import Ownership, owner_now
from ppap.studio.access.uploads import USERS, own_folder
from ppap.studio.access.visitor import Visitor, asking, current, on_page
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.evaluate.reports import FOLDER as EVALUATIONS
from ppap.studio.evaluate.reports import Reports
from ppap.studio.jobs import Job, OneAtATime, new_folder
from ppap.studio.requests import RequestError
from ppap.studio.segment.pictures import Picture, PictureSet
from ppap.studio.segment.store import MAX_FULL, Result, SegmentStore
from ppap.studio.sources import Sources
from ppap.studio.store import BatchGone, BatchStore
from ppap.studio.study import ablations as ablating
from ppap.studio.study.ablations import Ablating
from ppap.studio.study.studies import Studies
from ppap.study.saved import VALUES
from tests.ppap.studio.study.test_ablations import ASKED
from tests.ppap.study.test_run import striped
from tests.support.small_studio import SmallStudio, draw, load_tiny, small_batch, wait_until
from trainers.launching.runner import Runner
from trainers.runs.folder import RunError
from trainers.runs.owner import OWNER, VARIABLE, owner_of, write_owner

ADA, BOB, NOBODY = Visitor(user="ada"), Visitor(user="bob"), Visitor()
CLOSED = Ownership(logins=True)
PRIVATE = Ownership(logins=True, private_runs=True)


def seen(look: Callable[[], Any]) -> list[bool]:
    """Whether Ada, Bob, and nobody in particular see something."""
    found = []
    for who in (ADA, BOB, NOBODY):
        with asking(who):
            try:
                found.append(bool(look()))
            except (RequestError, BatchGone, RunError):
                found.append(False)
    return found


# --- who asks


def test_whoever_asks_is_known_until_they_are_answered() -> None:
    assert current() == NOBODY
    with asking(ADA):
        assert current().user == "ada"
        with asking(BOB):
            assert current().user == "bob"
        assert current().user == "ada"
    assert current() == NOBODY


def test_a_user_s_pages_share_and_others_do_not() -> None:
    with asking(ADA):
        assert on_page("1").share == on_page("2").share == ADA.share
    with asking(NOBODY):
        assert on_page("1").share != on_page("2").share
    # No page can call itself by a user's name.
    assert on_page("user ada").share != ADA.share
    assert len(on_page("x" * 10_000).page) == 64
    assert on_page(5) == on_page(None) == NOBODY


def test_uploads_lie_in_folders_that_no_name_leads_out_of(tmp_path: Path) -> None:
    found = set()
    for user in ("ada", "Ada", "../../etc", "a/b", "\0", "ä", "ada "):
        with asking(Visitor(user=user)):
            folder = own_folder(tmp_path)
        assert folder.parent == tmp_path / USERS
        found.add(folder)
    assert len(found) == 7
    assert own_folder(tmp_path) == tmp_path


def test_one_user_s_waiting_calls_do_not_keep_another_s_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """gradio has one queue for all scripts, and refuses everybody's once it is full."""
    monkeypatch.setattr(sessions, "WAITING", 3)
    line = SimpleNamespace(queue=[])

    class Queue:
        event_queue_per_concurrency_id: ClassVar = {
            "save": line,
            "other": SimpleNamespace(queue=[]),
        }

        async def push(self, body: Any, request: Any, username: str | None) -> Any:
            line.queue.append(SimpleNamespace(username=username))
            return True, f"event {len(line.queue)}", "success"

    queue: Any = Queue()
    sessions.Sessions().follow(queue)

    def ask(user: str | None) -> int:
        body = SimpleNamespace(session_hash=f"of {user}")
        try:
            # In a thread: Playwright keeps a loop going in the main one, after a browser test.
            pushed = queue.push(body=body, request=None, username=user)
            thread.submit(asyncio.run, pushed).result()
        except HTTPException as refusal:
            return refusal.status_code
        return 200

    with ThreadPoolExecutor(1) as thread:
        assert [ask("bob") for _ in range(5)] == [200, 200, 200, 429, 429]
        assert ask("ada") == 200
        assert [ask(None) for _ in range(5)] == [200] * 5  # without logins gradio alone counts
        line.queue.pop(0)
        assert ask("bob") == 200


# --- in memory


def test_a_batch_is_its_user_s_and_the_samples_are_everybody_s() -> None:
    store, batch = BatchStore(), small_batch(1)
    with asking(ADA):
        own = store.add(batch, {"n": 1})
        samples = store.add(batch, {"n": 2}, shared=True)
    assert seen(lambda: store.get(own.key)) == [True, False, False]
    assert seen(lambda: store.find({"n": 1})) == [True, False, False]
    assert seen(lambda: store.get(samples.key)) == [True, True, True]
    assert seen(lambda: store.find({"n": 2})) == [True, True, True]


def test_one_user_s_batches_do_not_push_out_another_s() -> None:
    batch = small_batch(1)
    store = BatchStore(max_bytes=BatchStore().add(batch, {}).bytes * 5, max_batches=4)
    with asking(ADA):
        first = store.add(batch, {"n": 0})
    with asking(BOB):
        for n in range(40):
            store.add(batch, {"n": n})
    with asking(ADA):
        assert store.get(first.key) is first


def set_of(photos: int = 1) -> PictureSet:
    def read() -> np.ndarray:
        return np.zeros((2, 2, 3), np.uint8)

    pictures = [Picture("a.png", read, 2, 2, kept=read()) for _ in range(photos)]
    return PictureSet(pictures, [], seen=("features", object()))


def test_segments_are_their_user_s() -> None:
    store = SegmentStore()
    with asking(ADA):
        one = set_of()
        result = Result(one, {}, "")
        store.add_set(one)
        store.add_result(result)
    assert seen(lambda: store.set(one.key)) == [True, False, False]
    assert seen(lambda: store.result(result.key)) == [True, False, False]


@pytest.mark.parametrize("visitor", ["user", "page"])
def test_a_fourth_user_of_segment_evicts_nobody(visitor: str) -> None:
    store = SegmentStore()
    made = []
    for n in range(20):
        with asking(Visitor(**{visitor: str(n)})):
            made.append((set_of(), current()))
            store.add_set(made[-1][0])
    # All are there; those that were not used for longest must read their pictures again.
    light = [one.pictures[0].kept is None for one, _ in made]
    assert light == [True] * (20 - MAX_FULL) + [False] * MAX_FULL
    for one, who in made:
        with asking(who):
            assert store.set(one.key) is one
            assert one.pictures[0].rgb.shape == (2, 2, 3)
    with asking(made[0][1]):
        for _ in range(3):
            store.add_set(set_of())
        with pytest.raises(RequestError, match="no longer in memory"):
            store.set(made[0][0].key)


def test_250_loads_of_one_page_push_out_nobody_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)
    studio, gate = SmallStudio(tmp_path), threading.Event()
    studio.loader._turns.submit("", gate.wait)
    mine = studio.loader.start({"size": 224, "page": "mine"})
    for n in range(250):
        studio.loader.start({"size": 224, "page": f"theirs {n % 3}"})
    gate.set()
    job = studio.loader.job(mine)
    wait_until(lambda: job.state not in ("waiting", "running"))
    assert job.state == "done"
    studio.loader.close()


def test_a_load_is_its_user_s_and_so_is_what_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)
    studio = SmallStudio(tmp_path)
    with asking(ADA):
        path = draw(own_folder(studio.uploads) / "x" / "photo.png", 1)
        asked = {"source": "files", "size": 224, "files": [{"path": str(path), "name": "a.png"}]}
        key = studio.loader.start({**asked, "page": "p"})
        job = studio.loader.job(key)
    wait_until(lambda: job.state not in ("waiting", "running"))
    assert job.state == "done", job.error
    assert seen(lambda: studio.loader.job(key)) == [True, False, False]
    assert seen(lambda: studio.store.get(job.batch)) == [True, False, False]
    again = {"source": "files", "size": 224, "of": job.batch}
    for who, said in ((ADA, ""), (BOB, "a.png was not uploaded to this studio.")):
        with asking(who):
            assert studio.loader.load(asked).error == said
    with asking(BOB), pytest.raises(BatchGone):
        studio.loader.start(again)
    # A page of Bob's that calls itself as hers does not cancel what she asked for.
    gate = threading.Event()
    studio.loader._turns.submit("", gate.wait)
    with asking(ADA):
        hers = studio.loader.job(studio.loader.start({"size": 224, "page": "p"}))
    with asking(BOB):
        studio.loader.start({"size": 224, "page": "p"})
    gate.set()
    wait_until(lambda: hers.state not in ("waiting", "running"))
    assert hers.state == "done"
    studio.loader.close()


def test_one_job_at_a_time_and_only_its_user_is_told_which(tmp_path: Path) -> None:
    jobs = OneAtATime()
    with asking(ADA):
        made = Job("key", "her secret title", tmp_path, "x")
        jobs.begin(lambda: made, lambda job: job.title)
        assert jobs.told()
    with asking(BOB):
        assert jobs.told() is None
        with pytest.raises(RequestError, match=r"^Another user's job is running") as error:
            jobs.begin(lambda: made, lambda job: job.title)
        assert "secret" not in str(error.value)
        jobs.cancel()
        assert not made.cancelled
    with asking(ADA):
        with pytest.raises(RequestError, match="her secret title"):
            jobs.begin(lambda: made, lambda job: job.title)
        jobs.cancel()
    assert made.cancelled


def test_whatever_is_under_way_ends_with_the_studio(tmp_path: Path) -> None:
    jobs = OneAtATime()
    with asking(ADA):
        made = Job("key", "title", tmp_path, "x")
        jobs.begin(lambda: made, str)
    jobs.close()
    assert made.cancelled


# --- on disk


def test_what_was_made_without_logins_is_everybody_s(tmp_path: Path) -> None:
    assert owner_of(tmp_path) == ""
    assert seen(lambda: CLOSED.sees(tmp_path)) == [True, True, True]
    write_owner(tmp_path, "")
    assert not (tmp_path / OWNER).exists()
    (tmp_path / OWNER).write_bytes(b"\xff\n")
    assert seen(lambda: CLOSED.sees(tmp_path)) == [False, False, False]


def test_without_logins_everything_is_seen(tmp_path: Path) -> None:
    write_owner(tmp_path, "ada")
    assert seen(lambda: Ownership().sees(tmp_path)) == [True, True, True]
    assert seen(lambda: Ownership(private_runs=True).sees_run(tmp_path)) == [True, True, True]


def test_a_folder_for_a_job_belongs_to_whoever_asks(tmp_path: Path) -> None:
    with asking(ADA):
        assert owner_of(new_folder(tmp_path, "title", "study")) == "ada"
    assert owner_of(new_folder(tmp_path, "other", "study")) == ""


def reports(runs: Path) -> None:
    score = {"accuracy": 50.0, "miou": 40.0}
    about = {"title": "Made", "split": "val", "folder": "/x", "kind": "folder"}
    text = json.dumps({"format": REPORT, "dataset": about, "cluster": score,
                       "checkpoint": "/x/y.pt", "step": 1})  # fmt: skip
    for folder, owner in (("adas", "ada"), ("old", ""), (f"{EVALUATIONS}/hers", "ada"),
                          (f"{EVALUATIONS}/older", "")):  # fmt: skip
        (runs / folder).mkdir(parents=True)
        (runs / folder / "report.json").write_text(text)
        (runs / folder / "config.json").write_text("{}")
        (runs / folder / "index.html").write_text("page")
        write_owner(runs / folder, owner)


@pytest.mark.parametrize(
    ("ownership", "mine", "others"),
    [
        (Ownership(), 4, 4),
        (CLOSED, 4, 3),
        (PRIVATE, 4, 2),
    ],
)
def test_evaluations_are_their_user_s_and_runs_if_that_is_wanted(
    tmp_path: Path,
    ownership: Ownership,
    mine: int,
    others: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What stands in a report is another test's business.
    monkeypatch.setattr("ppap.studio.evaluate.reports.misfit", lambda _: None)
    reports(tmp_path)
    found = Reports(tmp_path, ownership)
    for who, many in ((ADA, mine), (BOB, others)):
        with asking(who):
            listed = {one["key"] for one in found.listed()}
            assert len(listed) == many
            for key in (f"{EVALUATIONS}/hers", f"{EVALUATIONS}/older", "adas", "old"):
                for ask in (found.folder_of, found.read, found.remove):
                    if key not in listed:
                        with pytest.raises(RequestError, match="There is no report"):
                            ask(key)
    assert (tmp_path / EVALUATIONS / "hers" / "report.json").exists()


def test_studies_are_their_user_s(tmp_path: Path) -> None:
    found = Studies(tmp_path, CLOSED)
    folder = found.folder / "hers"
    folder.mkdir(parents=True)
    (folder / VALUES).write_text("{}")
    (folder / "figure.svg").write_text("<svg/>")
    write_owner(folder, "ada")
    assert seen(lambda: found.folder_of("hers")) == [True, False, False]
    assert seen(lambda: found.file("hers", "figure.svg")) == [True, False, False]
    with asking(ADA):
        assert OWNER not in found.files("hers")
        with pytest.raises(RequestError, match="no file"):
            found.file("hers", OWNER)


def test_runs_are_shared_unless_they_are_private(tmp_path: Path) -> None:
    reports(tmp_path)
    sources = Sources([], uploads=tmp_path / "uploads", any_folder=False)
    for ownership, others in ((CLOSED, ["adas", "old"]), (PRIVATE, ["old"])):
        runner = Checkpoints(tmp_path, sources, ownership).runner()
        for who, names in ((ADA, ["adas", "old"]), (BOB, others)):
            with asking(who):
                assert sorted(one.name for one in runner.runs()) == names
                for name in {"adas", "old"} - set(names):
                    for ask in (runner.folder, runner.stop, runner.resume, runner.delete,
                                runner.about, runner.contents, runner.standing):  # fmt: skip
                        with pytest.raises(ValueError, match="There is no run called adas"):
                            ask(name)
                    with pytest.raises(ValueError, match="There is no run called adas"):
                        runner.rename(name, "mine")
    assert (tmp_path / "adas" / "report.json").exists()


def test_a_pause_is_of_everybody_s_runs_unless_they_are_private(tmp_path: Path) -> None:
    sources = Sources([], uploads=tmp_path, any_folder=True)
    for ownership, found in ((CLOSED, ["", ""]), (PRIVATE, ["ada", "bob"])):
        runner = Checkpoints(tmp_path / "runs", sources, ownership).runner()
        held_back = []
        for who in (ADA, BOB):
            with asking(who):
                held_back.append(runner.holds())
        assert held_back == found


def test_checkpoints_of_private_runs_are_not_offered(tmp_path: Path) -> None:
    reports(tmp_path)
    for name in ("adas", "old"):
        (tmp_path / name / "checkpoints").mkdir()
        (tmp_path / name / "checkpoints" / "last.pt").write_bytes(b"x")
    sources = Sources([], uploads=tmp_path / "uploads", any_folder=False)
    found = Checkpoints(tmp_path, sources, PRIVATE)
    assert seen(lambda: found.choose({"run": "adas"})) == [True, False, False]
    assert seen(lambda: found.choose({"run": "old"})) == [True, True, True]
    with asking(BOB):
        assert [one["run"] for one in found.listed()] == ["old"]


@pytest.mark.parametrize("spelling", ["{}", "{}/", "{}/../x", "link"])
def test_no_path_leads_into_another_s_uploads(tmp_path: Path, spelling: str) -> None:
    """Not even where pages may look into any folder."""
    sources = Sources([tmp_path], uploads=tmp_path / "uploads", any_folder=True)
    with asking(ADA):
        photo = draw(own_folder(tmp_path / "uploads") / "x" / "photo.png", 1)
    for place, find in ((photo.parent, sources.folder), (photo, sources.file)):
        text = spelling.format(place)
        if spelling == "link":
            (tmp_path / "link").unlink(missing_ok=True)
            (tmp_path / "link").symlink_to(place)
            text = str(tmp_path / "link")
        if place == photo and "/" in spelling:  # only folders are written so
            continue
        assert seen(partial(find, text)) == [True, False, True], text
    with asking(BOB), pytest.raises(RequestError) as told:
        sources.folder(f"{photo.parent}y")
    assert told.value.offers == ()
    # A data set around them, which another process reads, passes them by.
    draw(tmp_path / "own.png", 2)
    assert len(open_dataset(tmp_path, split="all")) == 1


def test_no_path_leads_into_another_s_runs_and_studies(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    places = [root / "adas" / "pictures", root / "old", root / ".studies" / "s" / "figures"]
    for place in places:
        place.mkdir(parents=True)
    write_owner(root / "adas", "ada")
    write_owner(root / ".studies" / "s", "ada")
    (root / "adas" / "last.pt").touch()

    def looks(ownership: Ownership) -> list[list[bool]]:
        sources = Sources(
            [tmp_path],
            uploads=tmp_path / "uploads",
            any_folder=False,
            hides=partial(ownership.hides, root),
        )
        finds = [partial(sources.folder, str(place)) for place in (*places, root, tmp_path)]
        return [seen(find) for find in (*finds, partial(sources.file, f"{root}/adas/last.pt"))]

    everybody, adas = [True, True, True], [True, False, False]
    assert looks(Ownership()) == [everybody] * 6
    assert looks(CLOSED) == [everybody, everybody, adas, everybody, everybody, everybody]
    all_at_once = [False, False, True]
    assert looks(PRIVATE) == [adas, everybody, adas, all_at_once, everybody, adas]


def test_a_command_makes_runs_for_whoever_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "ada")
    assert Runner(tmp_path)._owner() == "ada"
    monkeypatch.delenv(VARIABLE)
    assert Runner(tmp_path)._owner() == ""
    with asking(BOB):
        assert Runner(tmp_path, owner=owner_now)._owner() == "bob"


TELL = (
    "import os, sys; from pathlib import Path; "
    "runs = next(w for w in sys.argv if w.startswith('--runs='))[7:]; "
    f"Path(runs, 'told').write_text(os.environ['{VARIABLE}'])"
)


def test_an_ablation_is_its_user_s_and_so_are_its_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, data = tmp_path / "runs", tmp_path / "stripes"
    runs.mkdir()
    striped(data)
    sources = Sources([data], uploads=tmp_path / "uploads", any_folder=False)
    monkeypatch.setattr(ablating, "COMMAND", (sys.executable, "-c", TELL))
    place = Ablating(Runner(runs), sources, ownership=CLOSED)
    asked = {**ASKED, "data": str(data)}
    with asking(ADA):
        assert "error" not in place.start_ablation(asked)
        assert place._processes["phi"].wait(60) == 0
    assert (runs / "told").read_text() == "ada"
    assert seen(lambda: place.read("phi")) == [True, False, False]
    assert seen(place.listed) == [True, False, False]
    with asking(BOB):
        assert place.start_ablation(asked)["error"] == ("phi already exists. Choose another name.")
        assert "There is no ablation called phi" in place.ablation("phi")["error"]
