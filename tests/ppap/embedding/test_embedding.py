"""The map of patches: the stand-in, the worker that runs UMAP, and where proxies go."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ppap.embedding.layout import exact_neighbours, turn_towards
from ppap.embedding.service import MapService, MapStatus, nearest_patches, pca_map
from ppap.embedding.worker import Worker
from tests.conftest import ROOT

# Far beyond what anything here takes: a loaded machine must not fail a test.
PATIENCE = 120.0


def blobs(each: int, seed: int = 0, centres: int = 4, channels: int = 32) -> np.ndarray:
    """Well-separated groups of directions, one after another: ``(centres · each, channels)``."""
    random = np.random.default_rng(seed)
    middle = np.repeat(random.normal(size=(centres, channels)), each, axis=0)
    return (middle + random.normal(scale=0.2, size=middle.shape)).astype(np.float32)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.01)


def settled(service: MapService, key: str) -> MapStatus:
    wait_until(lambda: service.status(key).state not in ("queued", "warming", "fitting"))
    return service.status(key)


def ready(
    service: MapService, key: str, features: np.ndarray, start: np.ndarray | None = None
) -> np.ndarray:
    service.submit(key, features, start)
    assert settled(service, key).state == "ready", service.status(key)
    points = service.result(key)
    assert points is not None
    return points


def runs(pid: int) -> bool:
    """Whether a process does anything; one that nobody has reaped yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return (
            not stat.parent.parent.is_dir() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
        )
    except FileNotFoundError:
        return False


@pytest.fixture(scope="module")
def service() -> Iterator[MapService]:
    maps = MapService(keep=3)
    maps.warm()
    yield maps
    maps.close()


# --- the stand-in


def test_the_stand_in_shows_the_widest_direction_first() -> None:
    random = np.random.default_rng(0)
    # Almost the same direction everywhere, so that normalising keeps the two widths.
    features = np.zeros((500, 5))
    features[:, 0] = 100
    wide, narrow = random.normal(scale=10, size=500), random.normal(scale=3, size=500)
    features[:, 3], features[:, 1] = wide, narrow
    points = pca_map(features)
    assert points.dtype == np.float32
    assert points.shape == (500, 2)
    assert np.corrcoef(points[:, 0], wide)[0, 1] > 0.99
    assert np.corrcoef(points[:, 1], narrow)[0, 1] > 0.99
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-5)
    assert (points**2).sum(axis=1).mean() == pytest.approx(1, abs=1e-4)


def test_the_stand_in_ignores_length_and_repeats_itself() -> None:
    features = blobs(50)
    length = np.random.default_rng(1).uniform(0.1, 10, size=(200, 1)).astype(np.float32)
    np.testing.assert_allclose(pca_map(features * length), pca_map(features), atol=1e-4)
    assert np.array_equal(pca_map(features), pca_map(features))
    assert pca_map(features.astype(np.float16)).dtype == np.float32


@pytest.mark.parametrize("shape", [(1, 8), (2, 1), (5, 1), (3, 700)])
def test_the_stand_in_of_hardly_anything(shape: tuple[int, int]) -> None:
    points = pca_map(np.random.default_rng(0).normal(size=shape))
    assert points.shape == (shape[0], 2)
    assert np.isfinite(points).all()


def test_the_stand_in_of_equal_features_is_one_spot() -> None:
    assert not pca_map(np.full((40, 6), 0.3)).any()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros(4), r"\(N, D\)"),
        (np.zeros((0, 4)), r"\(0, 4\)"),
        (np.array([[1.0, 2.0], [np.nan, 1.0]]), "first in row 1"),
    ],
)
def test_features_that_have_no_map(features: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pca_map(features)
    # Refused in the caller's thread, before a worker is started for it.
    maps = MapService()
    with pytest.raises(ValueError, match=message):
        maps.submit("bad", features)
    assert maps.status("bad") == MapStatus("unknown")
    assert maps.worker_pid is None


# --- neighbours and turning


def test_neighbours_are_the_exact_ones_in_every_block(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(60, 7, generator=torch.Generator().manual_seed(0))
    x[31] = x[12]
    monkeypatch.setattr("ppap.embedding.layout.CHUNK_BYTES", 4 * 60 * 7)
    shares: list[float] = []
    found = exact_neighbours(x, 5, shares.append)
    expected, order = torch.cdist(x.double(), x.double()).sort(dim=1)
    np.testing.assert_allclose(found.distances, expected[:, :5], atol=2e-3)
    assert found.indices[:, 0].tolist() == list(range(60))
    assert found.indices[12, 1] == 31
    assert np.array_equal(found.indices[0], order[0, :5])
    assert len(shares) == 9
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_turning_undoes_a_rotation_and_a_mirror() -> None:
    target = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    target -= target.mean(axis=0)
    mirror = np.array([[np.cos(2), np.sin(2)], [np.sin(2), -np.cos(2)]], dtype=np.float32)
    np.testing.assert_allclose(turn_towards(target @ mirror, target), target, atol=1e-5)


# --- the worker


def test_groups_stay_apart_and_near_their_stand_in(service: MapService) -> None:
    features = blobs(60)
    points = ready(service, "groups", features)
    assert points.shape == (240, 2)
    assert points.dtype == np.float32
    assert service.status("groups").note is None
    groups = points.reshape(4, 60, 2)
    middle = groups.mean(axis=1)
    radius = np.linalg.norm(groups - middle[:, None], axis=2).max()
    apart = np.linalg.norm(middle[:, None] - middle[None], axis=2)[~np.eye(4, dtype=bool)].min()
    assert apart > 2 * radius
    assert (points**2).sum(axis=1).mean() == pytest.approx(1, abs=1e-4)
    # Turned like the stand-in: no other quarter turn or mirror image lies nearer.
    stand_in = pca_map(features)
    turns = [np.array(t, dtype=float) for t in ([[1, 0], [0, -1]], [[0, 1], [-1, 0]])]
    turns += [turns[0] @ turns[1], turns[1] @ turns[1], turns[1] @ turns[1] @ turns[0]]
    here = ((points - stand_in) ** 2).sum()
    assert all(here < ((points @ turn - stand_in) ** 2).sum() for turn in turns)
    # It is UMAP's, not the stand-in itself.
    assert np.abs(points - stand_in).max() > 0.05


def test_the_same_features_give_the_same_map(service: MapService) -> None:
    assert np.array_equal(ready(service, "a", blobs(30)), ready(service, "b", blobs(30)))


def test_a_result_cannot_be_changed_by_who_reads_it(service: MapService) -> None:
    points = ready(service, "kept", blobs(10))
    with pytest.raises(ValueError, match="read-only"):
        points[0] = 0


def test_progress_rises_to_the_end(service: MapService) -> None:
    service.submit("long", blobs(1500))
    seen: list[MapStatus] = []
    while service.status("long").state != "ready":
        seen.append(service.status("long"))
        assert seen[-1].state != "failed", seen[-1]
        time.sleep(0.005)
    progress = [s.progress for s in seen if s.state == "fitting" and s.progress is not None]
    assert progress == sorted(progress)
    # From the neighbours (below 0.2) and from the epochs (above), not only the two ends.
    assert any(0 < p < 0.2 for p in progress)
    assert len({p for p in progress if 0.2 < p < 1}) >= 3
    seconds = [s.seconds for s in seen]
    assert seconds == sorted(seconds)
    assert service.status("long").progress == 1
    assert service.status("long").seconds >= seconds[-1]
    assert service.status("long").seconds == service.status("long").seconds


@pytest.mark.parametrize("count", [1, 2, 14, 15])
def test_few_patches_get_the_stand_in_and_the_reason(service: MapService, count: int) -> None:
    features = np.random.default_rng(0).normal(size=(count, 6)).astype(np.float32)
    points = ready(service, f"few {count}", features)
    np.testing.assert_allclose(points, pca_map(features), atol=1e-4)
    note = service.status(f"few {count}").note
    assert note is not None
    assert f"there are {count}, so" in note


def test_sixteen_patches_are_enough(service: MapService) -> None:
    assert np.isfinite(ready(service, "enough", blobs(4))).all()
    assert service.status("enough").note is None


def test_duplicates(service: MapService) -> None:
    # Six features, 50 times each, cannot be laid out; 20 can, and every copy gets a place.
    six = np.repeat(blobs(2, centres=3), 50, axis=0)
    np.testing.assert_allclose(ready(service, "six", six), pca_map(six), atol=1e-4)
    assert "there are 6, so" in str(service.status("six").note)
    twenty = np.repeat(blobs(5), 50, axis=0)
    assert np.isfinite(ready(service, "twenty", twenty)).all()
    assert service.status("twenty").note is None


def test_features_along_one_direction_share_a_spot(service: MapService) -> None:
    features = np.linspace(1, 2, 40)[:, None] * np.ones((1, 8))
    assert not ready(service, "one point", features).any()
    assert "same feature" in str(service.status("one point").note)


def test_features_that_leave_one_axis_flat(service: MapService) -> None:
    angle = np.linspace(0, 1, 64)[:, None]
    arc = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    assert np.isfinite(ready(service, "arc", arc)).all()
    # Different lengths, but only two directions.
    two = np.linspace(1, 2, 40)[:, None] * np.where(np.arange(40) < 20, 1, -1)[:, None]
    points = ready(service, "two", two)
    assert np.isfinite(points).all()
    assert (
        points[:20, 0].max() < points[20:, 0].min() or points[20:, 0].max() < points[:20, 0].min()
    )


def test_an_unknown_key(service: MapService) -> None:
    assert service.status("never seen") == MapStatus("unknown")
    assert service.result("never seen") is None


def test_finished_maps_are_kept_up_to_the_bound_by_last_use(service: MapService) -> None:
    for name in ("one", "two", "three"):
        ready(service, name, blobs(5))
    assert service.result("one") is not None
    ready(service, "four", blobs(5))
    assert service.status("two").state == "unknown"
    assert service.result("two") is None
    assert all(service.result(name) is not None for name in ("one", "three", "four"))


def test_asking_twice_changes_nothing(service: MapService) -> None:
    points = ready(service, "twice", blobs(5))
    before = service.status("twice")
    service.submit("twice", blobs(5, seed=9))
    assert service.status("twice") == before
    assert service.result("twice") is points


def test_a_batch_is_copied(service: MapService) -> None:
    features = blobs(20)
    service.submit("copied", features)
    features[:] = 1
    assert settled(service, "copied").note is None


# --- a map that starts from another one


def test_a_map_that_starts_from_another_can_be_followed_by_eye(service: MapService) -> None:
    # The same groups elsewhere, as another network has them.
    first, second = blobs(20, centres=12), blobs(20, seed=3, centres=12)
    here = ready(service, "first", first)
    alone = turn_towards(ready(service, "second", second), here)
    followed = ready(service, "second beside first", second, here)
    moved = np.linalg.norm(followed - here, axis=1).mean()
    assert moved < 0.5 * np.linalg.norm(alone - here, axis=1).mean()
    assert moved > 0.01  # its own map nevertheless
    # Aligned: no other turn lies nearer.
    np.testing.assert_allclose(followed, turn_towards(followed, here), atol=1e-4)
    assert np.array_equal(followed, ready(service, "again beside first", second, here))


def test_the_stand_in_is_turned_towards_the_other_map() -> None:
    features = blobs(30)
    places = pca_map(features) @ np.array([[0, 1], [1, 0]], dtype=np.float32)
    np.testing.assert_allclose(pca_map(features, places), places, atol=1e-4)


def test_few_patches_get_their_stand_in_turned_likewise(service: MapService) -> None:
    features = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    places = -pca_map(features)
    points = ready(service, "few beside", features, places)
    assert service.status("few beside").note is not None
    np.testing.assert_allclose(points, places, atol=1e-4)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (np.zeros((9, 2)), r"\(200, 2\), not \(9, 2\)"),
        (np.zeros((200, 3)), r"\(200, 2\), not \(200, 3\)"),
        (np.full((200, 2), np.inf), "NaN or infinity"),
    ],
)
def test_places_that_nothing_can_start_from(places: np.ndarray, message: str) -> None:
    maps = MapService()
    with pytest.raises(ValueError, match=message):
        maps.submit("bad", blobs(50), places)
    assert maps.worker_pid is None
    with pytest.raises(ValueError, match=message):
        pca_map(blobs(50), places)


# --- order, crashes and ends, each with workers of its own


def test_last_submitted_first_and_the_longest_waiting_is_let_go() -> None:
    maps = MapService(waiting=3)
    try:
        start: dict[str, float] = {}
        # All wait while UMAP compiles.
        for name in ("let go", "again", "older", "newest"):
            start[name] = time.monotonic()
            maps.submit(name, blobs(50))
            assert maps.status(name).state == "warming"
        maps.submit("again", blobs(50))
        assert maps.status("let go") == MapStatus("unknown")
        finished = {}
        for name in ("again", "older", "newest"):
            assert settled(maps, name).state == "ready"
            finished[name] = start[name] + maps.status(name).seconds
        assert finished["again"] < finished["newest"] < finished["older"]

        # A killed worker fails the map at hand with a reason; the next ones get a new worker.
        killed = maps.worker_pid
        assert killed is not None
        maps.submit("at hand", blobs(2000))
        wait_until(lambda: maps.status("at hand").state == "fitting")
        maps.submit("behind", blobs(50))
        os.kill(killed, signal.SIGKILL)
        status = settled(maps, "at hand")
        assert status.state == "failed"
        assert "SIGKILL" in str(status.error)
        assert maps.result("at hand") is None
        assert settled(maps, "behind").state == "ready"
        assert maps.worker_pid not in (None, killed)
        assert settled(maps, "newest").state == "ready"
        ready(maps, "at hand", blobs(50))

        last = maps.worker_pid
        assert last is not None
        assert runs(last)
    finally:
        maps.close()
    assert not runs(last)
    assert maps.worker_pid is None
    assert maps.result("newest") is not None
    with pytest.raises(RuntimeError, match="closed"):
        maps.submit("late", blobs(5))


def test_compiled_code_is_kept_for_the_next_process(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text(
        "import numba\n"
        "@numba.njit\ndef plain(n):\n    return n + 1\n"
        "@numba.njit()\ndef called(n):\n    return n + 2\n"
        "@numba.njit(cache=False)\ndef not_kept(n):\n    return n + 3\n"
    )
    script = (
        "from ppap.embedding.worker import keep_compiled; keep_compiled(); import sums; "
        "assert (sums.plain(1), sums.called(1), sums.not_kept(1)) == (2, 3, 4); "
        "print([len(f.stats.cache_hits) for f in (sums.plain, sums.called)])"
    )

    def run() -> str:
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        environment = os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": ""}
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert run() == "[0, 0]"
    kept = {file.name.split("-")[0] for file in tmp_path.rglob("*.nbi")}
    assert kept == {"sums.plain", "sums.called"}
    assert run() == "[1, 1]"


def test_compiled_code_is_kept_where_neither_its_folder_nor_the_home_can_be_written(
    tmp_path: Path,
) -> None:
    package, free = tmp_path / "path" / "sums", tmp_path / "free"
    package.mkdir(parents=True)
    free.mkdir()
    (package / "__init__.py").write_text(
        "import numba\n@numba.njit\ndef add(n):\n    return n + 1\n"
    )
    (package / "__pycache__").touch()
    (tmp_path / "home").touch()
    script = (
        "from ppap.embedding.worker import keep_compiled; keep_compiled('sums'); import sums; "
        "assert sums.add(1) == 2"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {
        "PYTHONPATH": os.pathsep.join([str(package.parent), str(ROOT)]),
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "home"),
        "TMPDIR": str(free),
    }
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=PATIENCE)
    (kept,) = free.rglob("*.nbi")
    assert kept.name.startswith("__init__.add")


def test_umap_is_compiled_once_on_a_machine(service: MapService) -> None:
    ready(service, "first", blobs(30))
    spec = importlib.util.find_spec("umap")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "__pycache__"
    if not os.access(folder, os.W_OK):
        pytest.skip(f"{folder} cannot be written: numba keeps its code elsewhere")

    def kept() -> dict[str, int]:
        return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.nb*")}

    before = kept()
    assert any("layouts" in name for name in before)
    worker = Worker(threads=1, niceness=5)
    try:
        assert worker.receive().kind == "warm"
    finally:
        worker.stop()
    assert kept() == before


def test_a_worker_that_cannot_start_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "umap").mkdir()
    (tmp_path / "umap" / "__init__.py").write_text("raise ImportError('umap is not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    maps = MapService()
    try:
        maps.warm()
        maps.submit("a", blobs(5))
        status = settled(maps, "a")
        assert status.state == "failed"
        assert "umap is not here" in str(status.error)
        # Asking again tries again.
        maps.submit("a", blobs(5))
        assert maps.status("a").state == "warming"
    finally:
        maps.close()
    assert maps.status("a") == MapStatus("unknown")
    assert capfd.readouterr().err == ""


def test_closing_without_ever_starting() -> None:
    maps = MapService()
    maps.close()
    maps.close()
    with pytest.raises(RuntimeError, match="closed"):
        maps.warm()


def test_the_worker_ends_when_its_pipe_is_closed() -> None:
    worker = Worker(threads=1, niceness=0)
    try:
        assert worker.alive()
        worker.stdin.close()
        assert worker.process.wait(PATIENCE) == 0
    finally:
        worker.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that can fork")
def test_the_worker_ends_with_a_killed_owner_which_imports_no_umap() -> None:
    # The forked process, like those that load data, keeps the owner's end of the pipe open.
    code = """
import os, sys, time
from ppap.embedding.service import MapService
maps = MapService()
maps.warm()
while maps.worker_pid is None:
    time.sleep(0.01)
time.sleep(0.3)  # until it has asked who its parent is
forked = os.fork()
if forked:
    heavy = {"umap", "numba", "sklearn", "gradio"} & set(sys.modules)
    print(maps.worker_pid, forked, *heavy, flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as owner:
        assert owner.stdout is not None
        worker, forked, *imported = owner.stdout.readline().split()
        owner.kill()
    try:
        assert imported == []
        assert runs(int(forked))
        wait_until(lambda: not runs(int(worker)))
    finally:
        os.kill(int(forked), signal.SIGKILL)


# --- proxies


def test_a_proxy_is_drawn_at_the_weighted_mean_of_its_nearest_patches() -> None:
    features = torch.eye(4)
    proxies = torch.tensor([[0.8, 0.6, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    nearest = nearest_patches(features, proxies, k=2)
    assert nearest.indices[0].tolist() == [0, 1]
    torch.testing.assert_close(nearest.weights[0], torch.tensor([0.8, 0.6]) / 1.4)
    points = torch.tensor([[0.0, 0.0], [7.0, 14.0], [1.0, 2.0], [3.0, 4.0]])
    torch.testing.assert_close(nearest.place(points), torch.tensor([[3.0, 6.0], [1.0, 2.0]]))


def test_weights_are_never_negative() -> None:
    features = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [-1.0, 0.1], [-1.0, 0.0]]))
    nearest = nearest_patches(features, torch.tensor([[1.0, 0.0], [0.0, -1.0]]), k=5)
    assert nearest.indices.shape == (2, 3)
    torch.testing.assert_close(nearest.weights[0], torch.tensor([1.0, 0.0, 0.0]))
    # Nothing is similar to the second: its patches count alike.
    torch.testing.assert_close(nearest.weights[1], torch.full((3,), 1 / 3))


def test_blocks_of_proxies_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn(40, 6, generator=generator))
    proxies = torch.nn.functional.normalize(torch.randn(11, 6, generator=generator))
    whole = nearest_patches(features, proxies)
    monkeypatch.setattr("ppap.embedding.layout.CHUNK_BYTES", 4 * 40 * 3)
    parts = nearest_patches(features, proxies)
    assert torch.equal(whole.indices, parts.indices)
    torch.testing.assert_close(whole.weights, parts.weights)
    assert nearest_patches(features, proxies[:0]).indices.shape == (0, 5)


@pytest.mark.parametrize(
    ("features", "proxies", "k"),
    [((4, 3), (2, 5), 5), ((4,), (2, 4), 5), ((0, 3), (2, 3), 5), ((4, 3), (2, 3), 0)],
)
def test_proxies_that_cannot_be_placed(
    features: tuple[int, ...], proxies: tuple[int, ...], k: int
) -> None:
    with pytest.raises(ValueError, match=r"proxies|patch"):
        nearest_patches(torch.zeros(features), torch.zeros(proxies), k)
