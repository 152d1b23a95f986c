"""What a new user sees after ``make up``: the Dagster UI and the dashboard in a real browser, then Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

#: The first test waits for the first run of thirty days and the training: four minutes beside other tests.
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
          "--disable-sync", "--no-first-run"]  # fmt: skip


@dataclass
class Platform:
    """A running ``voiceai up``."""

    process: subprocess.Popen[bytes]
    home: Path
    dagster: str
    dashboard: str
    bad_day: str


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(1)
    pytest.fail(f"{url} did not answer: {log.read_text()}")


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    folder = Path(tempfile.mkdtemp(prefix="voiceai-browser-"))
    log = folder / "up.log"
    ports = _free_port(), _free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VOICEAI_")}
    environment |= {
        "VOICEAI_HOME": str(folder / "home"),
        "VOICEAI_DAGSTER_PORT": str(ports[0]),
        "VOICEAI_DASHBOARD_PORT": str(ports[1]),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "voiceai_assets.cli", "up"], env=environment, stdout=output, stderr=output
        )
    made = Platform(process, folder / "home", *(f"http://127.0.0.1:{port}" for port in ports), bad_day="")
    try:
        _wait(f"{made.dashboard}/health", process, log)
        _wait(f"{made.dagster}/server_info", process, log)
        made.bad_day = next(
            word
            for line in log.read_text().splitlines()
            if "on purpose" in line
            for word in line.split()
            if "-" in word
        )
        yield made
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser(platform: Platform) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1500, "height": 1000})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()


def test_the_lineage_shows_every_layer_and_nothing_pops_up(platform: Platform, page: Page) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(f"{platform.dagster}/asset-groups")
    for layer in ("lake", "raw", "staging", "intermediate", "marts", "certified", "dashboards", "models"):
        expect(page.get_by_text(layer, exact=True).first).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert [url for url in requested if url.startswith("http") and "127.0.0.1" not in url] == []


def test_the_blocked_day_stays_failed_in_the_partitions(platform: Platform, page: Page) -> None:
    page.goto(f"{platform.dagster}/assets/certified/fact_voice_ai_sessions?view=partitions")
    expect(page.get_by_text("Failed (1)")).to_be_visible()
    expect(page.get_by_text("Materialized (29)")).to_be_visible()


def test_the_checks_tab_shows_the_failing_check_with_observed_and_what_next(platform: Platform, page: Page) -> None:
    page.goto(
        f"{platform.dagster}/assets/raw/turns?view=checks&checkDetail=turns_are_plausible"
        f"&checkTab=partitions&partition={platform.bad_day}"
    )
    expect(page.get_by_text("turns_are_plausible").first).to_be_visible()
    expect(page.get_by_text("Failed").first).to_be_visible()


def test_a_loaded_day_shows_its_files_with_sha256(platform: Platform, page: Page) -> None:
    page.goto(f"{platform.dagster}/assets/raw/turns?view=partitions&partition={platform.bad_day}")
    expect(page.get_by_text("sha256").first).to_be_visible()
    expect(page.get_by_text(f"turns-{platform.bad_day}.jsonl").first).to_be_visible()


def test_the_dashboard_shows_intervals_the_computed_badge_and_the_blocked_day(platform: Platform, page: Page) -> None:
    page.goto(platform.dashboard)
    expect(page.get_by_text("29 of 30 days certified").first).to_be_visible()
    expect(page.get_by_text("95").first).to_be_visible()
    row = page.locator("tr", has_text=platform.bad_day)
    expect(row).to_contain_text("blocked")
    expect(row).to_contain_text("asr_confidence lies between 0 and 1")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_model_page_shows_the_champion_with_its_criteria_and_pictures(platform: Platform, page: Page) -> None:
    page.goto(platform.dashboard)
    page.get_by_role("link", name="Model").click()
    expect(page.get_by_text("champion: its scores are published")).to_be_visible()
    expect(page.get_by_role("row", name="hazard is calibrated")).to_contain_text("yes")
    picture = page.locator("article img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_dashboard_works_on_a_telephone(platform: Platform, browser: Browser) -> None:
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    phone.goto(platform.dashboard)
    expect(phone.get_by_text("Completion rate").first).to_be_visible(timeout=60_000)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.close()


def test_ctrl_c_stops_everything_that_was_started(platform: Platform) -> None:
    """Last in the file: the platform is gone afterwards."""
    postmaster = platform.home / "postgres" / "postmaster.pid"
    assert postmaster.exists()
    platform.process.send_signal(signal.SIGINT)
    assert platform.process.wait(60) == 0
    deadline = time.monotonic() + 20
    while postmaster.exists() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not postmaster.exists()
    for url in (platform.dagster, platform.dashboard):
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(url, timeout=2)
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(platform.home) not in listed
