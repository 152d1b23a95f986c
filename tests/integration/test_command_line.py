"""The commands as a person types them: a child process, its exit status and its words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.world import session, with_log_scores

pytestmark = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="uses a home with its own embedded server")


COMMAND = [sys.executable, "-m", "voiceai_assets.cli"]


def surroundings(home: Path, **variables: str) -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VOICEAI_")}
    return {**environment, "VOICEAI_HOME": str(home), **variables}


def voiceai(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        env=surroundings(home, **variables),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.timeout(900)  # fifteen commands, each a process of its own
def test_the_readmes_story_from_real_calls_to_a_blocked_day_and_back(home: Path, dstc2: Path, tmp_path: Path) -> None:
    landed = voiceai(home, "land", str(dstc2))
    assert landed.returncode == 0, landed.stderr
    assert "landed 8 file(s), 12,962 records, 8 day(s)" in landed.stdout
    assert "nothing new" in voiceai(home, "land", str(dstc2)).stdout

    done = voiceai(home, "materialize", "--from", "2013-03-22", "--to", "2013-03-29")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 certified" in done.stdout
    counted = voiceai(
        home, "psql", "--reader", "--", "-tA", "-c",
        "select count(*), sum(turn_count) from certified.fact_voice_ai_sessions",
    )  # fmt: skip
    assert counted.stdout.strip() == "1760|12962"

    poisoned = tmp_path / "2013-03-26.jsonl"
    with_log_scores(dstc2 / "2013-03-26.jsonl", poisoned)
    assert voiceai(home, "land", str(poisoned)).returncode == 0
    assert "stale" in voiceai(home, "status").stdout
    blocked = voiceai(home, "materialize", "--from", "2013-03-26")
    assert blocked.returncode == 2
    assert "asr_confidence lies between 0 and 1 (2,247 of 2,247)" in blocked.stdout.replace("\n", "")
    status = voiceai(home, "status")
    assert status.returncode == 2
    assert "1 blocked, 7 certified" in status.stdout

    assert voiceai(home, "land", str(dstc2)).returncode == 0
    assert voiceai(home, "materialize", "--from", "2013-03-26").returncode == 0
    assert "8 certified" in voiceai(home, "status").stdout

    trained = voiceai(home, "train")
    assert trained.returncode == 2, trained.stdout + trained.stderr  # eight days: too sure of itself, by any key
    assert "is not promoted: hazard is calibrated: slope 0.7" in " ".join(trained.stdout.split())
    examined = voiceai(home, "doctor")
    assert examined.returncode == 0, examined.stdout
    assert "bi_reader reads certified and exp, and nothing else" in examined.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["materialize", "--from", "yesterday"], "is not a day; write YYYY-MM-DD"),
        (["materialize", "--from", "1999-01-01"], "is not all inside"),
        (["land", "no-such-file"], "does not exist"),
        (["land", "pyproject.toml", "--adapter", "fax"], "no adapter 'fax'"),
        (["train"], "no day is certified yet"),
    ],
)
def test_an_error_is_one_line_that_says_what_and_where(home: Path, arguments: list[str], words: str) -> None:
    result = voiceai(home, *arguments)
    assert result.returncode != 0
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_whoever_stops_a_run_is_told_so_and_goes_on_with_the_same_command(home: Path) -> None:
    rows = (row for n in range(5_000) for row in session(f"s{n}", "2026-08-01T10:00", turns=10))
    file = home / "landing" / "canonical" / "2026-08-01.jsonl"  # put there by something else than `voiceai land`
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["materialize", "--from", "2026-08-01"]
    with subprocess.Popen(
        [*COMMAND, *command],
        env=surroundings(home, VOICEAI_QUIET_SECONDS="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        while not list((home / "lake").glob(".spill/*")):  # it is reading the day
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        try:
            said = "".join(run.communicate(timeout=120))
        finally:
            run.kill()  # one that does not stop would be waited for without end
    assert run.returncode == 130, said
    assert "stopped; nothing half done is visible" in said
    assert "failed" not in said
    again = voiceai(home, *command, VOICEAI_QUIET_SECONDS="0")
    assert again.returncode in (0, 2), again.stderr
    assert "50,000" in again.stdout


def test_dbt_by_hand_gets_the_settings_that_the_platform_builds_with(home: Path) -> None:
    shown = voiceai(home, "exec", "--", "env", VOICEAI_SOURCE_TIMEZONE="Africa/Kigali").stdout.splitlines()
    assert {"DBT_SOURCE_TIMEZONE=Africa/Kigali", "DBT_SESSION_TIMEOUT_MINUTES=30"} <= set(shown)


def test_an_unknown_setting_is_refused(home: Path) -> None:
    result = voiceai(home, "status", VOICEAI_DATABSE_URL="x")
    assert result.returncode == 1
    assert "did you mean VOICEAI_DATABASE_URL" in " ".join(result.stderr.split())


def test_a_server_that_is_not_there_is_named(home: Path) -> None:
    result = voiceai(home, "status", VOICEAI_DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert result.returncode == 1
    assert "VOICEAI_DATABASE_URL" in result.stderr
    assert "Traceback" not in result.stderr


def test_what_would_never_be_read_is_not_landed(home: Path, tmp_path: Path) -> None:
    half, pipe, folder = tmp_path / "calls.jsonl.tmp", tmp_path / "pipe.jsonl", tmp_path / "folder"
    half.write_text("{}\n")
    os.mkfifo(pipe)
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "calls.jsonl").write_text("{}\n")
    for what, words in {
        half: "hidden and half-written files are never read",
        pipe: "does not exist, or is no file and no folder",
        folder: "there is no file in it",
    }.items():
        result = voiceai(home, "land", str(what))
        assert result.returncode == (0 if what is folder else 1)
        assert words in " ".join((result.stdout + result.stderr).split())
        assert not [path for path in home.rglob("*calls*") if path.is_file()]


def test_a_file_that_nobody_reads_is_reported(home: Path, tmp_path: Path) -> None:
    (tmp_path / "call.mp3").write_bytes(b"ID3")
    result = voiceai(home, "land", str(tmp_path))
    assert result.returncode == 1
    assert "adapter canonical reads .jsonl" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "command", ["up", "land", "materialize", "status", "train", "dashboard", "psql", "exec", "doctor"]
)
def test_each_command_explains_itself(home: Path, command: str) -> None:
    result = voiceai(home, command, "--help")
    assert result.returncode == 0
    assert len(result.stdout) > 200
