"""Where runs run: in two processes and then in one; as a job of SLURM's, with another studio."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import CHROMIUM, pages, studio
from tests.browser.test_train import (
    SMALL,
    badge,
    command_holds,
    runs_in,
    set_all,
    show_train,
    wait_for_step,
)
from trainers.runs.launch import read_launch
from trainers.slurm.options import VARIABLE

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
SHARED = {**SMALL, "Machine": {"cache": "off", "device": "cpu", "devices": "2"}}


def action(page: Page, name: str) -> None:
    page.locator("#train .run").get_by_role("button", name=name, exact=True).click()


def resume_on(page: Page, devices: str) -> None:
    action(page, "Resume on…")
    page.locator("#train .sheet").get_by_label("Devices").fill(devices)
    page.locator("#train .sheet").get_by_role("button", name="Resume").click()


def test_two_processes_are_started_watched_stopped_and_gone_on_with_by_one(
    browser: Browser, tmp_path: Path
) -> None:
    with (
        runs_in(tmp_path / "runs") as runs,
        studio(["--runs", str(runs.root)]) as running,
        pages(browser, running.url) as open_it,
    ):
        page = open_it()
        show_train(page)
        set_all(page, {**SHARED, "Machine": {**SHARED["Machine"], "devices": "4"}})
        error = page.locator("#train [data-error=devices]")
        expect(error).to_contain_text("A batch of 6 does not divide among 4 devices")
        field = page.locator("#train [data-setting=devices]")
        field.fill("two")
        expect(error).to_contain_text("devices must be a number from 1 to 64, all, or")
        field.fill("2")
        expect(error).to_be_hidden()
        command_holds(page, "devices=2")
        page.locator("#train [data-part=name]").fill("pair")
        page.get_by_role("button", name="Start", exact=True).click()
        badge(page, "running")
        wait_for_step(page, 2)
        action(page, "Stop")
        badge(page, "stopped")
        resume_on(page, "many")
        expect(page.locator("#train .sheet .field-error")).to_contain_text("devices must be a")
        page.locator("#train .sheet").get_by_label("Devices").fill("1")
        page.locator("#train .sheet").get_by_role("button", name="Resume").click()
        badge(page, "running")
        step = page.evaluate("() => document.querySelector('#train').train.view.run.step")
        wait_for_step(page, step)
        expect(page.get_by_role("log")).to_contain_text(
            "each batch was shared by 2 processes, and from here on by one"
        )
        action(page, "Stop")
        badge(page, "stopped")


def test_a_job_through_its_whole_life_with_the_studio_started_anew(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.environ.get("PPAP_TEST_SLURM"):
        if os.environ.get("PPAP_REQUIRE_SLURM"):
            pytest.fail("there is no SLURM for tests, which is required here")
        pytest.skip("there is no SLURM for tests: .ci/slurm.sh start, as root on Debian")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "slurm.toml"))
    (tmp_path / "slurm.toml").write_text('time = "10"\n')
    with runs_in(tmp_path / "runs") as runs:
        with (
            studio(["--runs", str(runs.root)]) as running,
            pages(browser, running.url) as open_it,
        ):
            page = open_it()
            show_train(page)
            set_all(page, SMALL)
            page.locator("#train [data-group='Where it runs'] summary").click()
            page.locator("#train [data-part=on]").select_option("slurm")
            partition = page.locator("#train [data-slurm=partition]")
            partition.fill("a b")
            error = page.locator("#train [data-error='slurm.partition']")
            expect(error).to_contain_text("partition must be a name")
            partition.fill("nowhere")
            page.locator("#train [data-part=name]").fill("job")
            needs = page.locator("#train [data-part=needs]")
            expect(needs).to_contain_text("steps on SLURM")
            page.get_by_role("button", name="Start", exact=True).click()
            expect(error).to_contain_text("invalid partition")
            partition.fill("")
            page.locator("#train [data-slurm=extra]").fill("--begin=now+1hour")
            command_holds(page, "--on slurm --slurm time=10 extra=--begin=now+1hour")
            page.get_by_role("button", name="Start", exact=True).click()
            badge(page, "queued")
            said = page.locator("#train .run .said")
            expect(said).to_contain_text("until its start time")
        launch = read_launch(runs.root / "job")
        assert launch is not None
        assert launch.job is not None
        number = launch.job.number
        subprocess.run(["scontrol", "update", f"JobId={number}", "StartTime=now"], check=True)
        with (
            studio(["--runs", str(runs.root)]) as running,
            pages(browser, running.url) as open_it,
        ):
            page = open_it()
            show_train(page)
            badge(page, "running")
            wait_for_step(page, 1)
            expect(page.locator("#train .run .said")).to_contain_text(f"SLURM job {number} on n")
            action(page, "Command")
            expect(page.locator("#train [data-part=script]")).to_contain_text("#SBATCH --requeue")
            page.locator("#train .sheet").get_by_role("button", name="Close").click()
            action(page, "Stop")
            badge(page, "stopped")
            assert (runs.root / "job/checkpoints/last.pt").exists()
            resume_on(page, "1")
            badge(page, "queued")
            action(page, "Remove from queue")
            badge(page, "stopped")
