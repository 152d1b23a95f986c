"""Files that say the days of others: which they are, what they say, and who follows them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from voiceai_assets.automation.retention import LandedFile, to_retire
from voiceai_assets.lake import companions, indexing, reading
from voiceai_assets.lake.companions import Companions
from voiceai_assets.lake.inbox import is_list, refresh
from voiceai_assets.lake.indexing import IndexedFile
from voiceai_assets.lake.reading import Block, UnreadableFileError
from voiceai_assets.lake.refine import Refinery
from voiceai_assets.privacy.pseudonyms import Pseudonymiser

SESSIONS = "session_id,user_id,final_outcome,created_at\nS1,U1,completed,{}\n"
TURNS = "turn_id,session_id,turn_number,speaker,created_at\nT1,S1,1,user,{}\n"


def land(root: Path, name: str, text: str) -> Path:
    path = root / "landing" / "irembo" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def look(root: Path, known: Mapping[str, IndexedFile] | None = None, zone: str = "UTC") -> dict[str, IndexedFile]:
    """What is known of landing after another look; ``known`` is what was known before."""
    found = refresh(root / "landing", known or {}, timezone=zone, quiet_seconds=0)
    left = {path: file for path, file in (known or {}).items() if path not in found.gone}
    return left | {file.path: file for file in found.fresh}


def days(files: Mapping[str, IndexedFile]) -> dict[str, list[str]]:
    return {path.removeprefix("irembo/"): sorted(file.days) for path, file in files.items()}


# -- which files say days --------------------------------------------------------------------------------------------


def test_sessions_say_the_days_of_turns_by_whatever_name_they_are_known(tmp_path: Path) -> None:
    land(tmp_path, "export_voice_sessions.csv", SESSIONS.format("2025-04-14"))
    land(tmp_path, "export_voice_turns.csv", TURNS.format("2025-02-21"))
    assert days(look(tmp_path)) == {
        "export_voice_sessions.csv": ["2025-04-14"],
        "export_voice_turns.csv": ["2025-04-14"],
    }


@pytest.mark.parametrize(
    "content",
    [
        SESSIONS.format("2025-04-14").replace("created_at", "created"),
        SESSIONS.format("2025-04-14") + "S2,U2,compl",
        "",
        "session_id,session_id,created_at\n",
    ],
    ids=["column renamed", "cut off", "empty", "no header"],
)
def test_turns_whose_sessions_cannot_be_read_are_filed_under_no_days_of_their_own(tmp_path: Path, content: str) -> None:
    land(tmp_path, "voice_sessions.csv", SESSIONS.format("2025-04-14") + "S2,U2,completed,2025-04-15\n")
    land(tmp_path, "voice_turns.csv", TURNS.format("2025-02-21") + "T2,S2,1,user,2025-06-01\n")
    known = look(tmp_path)
    land(tmp_path, "voice_sessions.csv", content)
    again = look(tmp_path, known)
    turns = again["irembo/voice_turns.csv"]
    assert "irembo/voice_turns.csv: its days are said by a file that cannot be read: voice_sessions.csv" in str(
        turns.problem
    )
    assert {"2025-04-14", "2025-04-15"} <= turns.days, "the days that it fed are in trouble"
    assert (turns.records, "2025-02-21" in turns.days) == (0, False)
    land(tmp_path, "voice_sessions.csv", SESSIONS.format("2025-04-14") + "S2,U2,completed,2025-04-15\n")
    assert days(look(tmp_path, again)) == days(known)


def test_retention_keeps_sessions_of_any_name_while_their_turns_stay(tmp_path: Path) -> None:
    land(tmp_path, "export_voice_sessions.csv", SESSIONS.format("2025-04-14"))
    land(tmp_path, "export_voice_turns.csv", TURNS.format("2025-02-21") + "T2,S2,1,user,2025-06-01\n")
    landed = [
        LandedFile(f.path, f.days, "2025-06-01", is_loaded=True, companions=frozenset(f.companions))
        for f in look(tmp_path).values()
    ]
    assert to_retire(landed, "2025-05-01").gone == ()


def test_files_that_retention_has_not_deleted_yet_keep_their_days_wherever_it_is_interrupted(tmp_path: Path) -> None:
    land(tmp_path, "a_voice_sessions.csv", SESSIONS.format("2025-04-14"))
    land(tmp_path, "a_voice_turns.csv", TURNS.format("2025-02-21"))
    land(tmp_path, "users.csv", USERS)
    known = look(tmp_path)
    landed = [
        LandedFile(f.path, f.days, "2025-06-01", True, frozenset(f.companions), is_list=is_list(f.path))
        for f in known.values()
    ]
    gone = to_retire(landed, "2025-05-01").gone
    assert len(gone) == 3
    for path in gone:
        (tmp_path / "landing" / path).unlink()
        left = look(tmp_path, known)
        assert days(left) == {name: found for name, found in days(known).items() if f"irembo/{name}" in left}


@pytest.mark.parametrize("name", ["._voice_sessions.csv", "voice_turns_of_voice_sessions.csv", "voice_sessions.txt"])
def test_what_is_not_read_as_sessions_says_no_days(tmp_path: Path, name: str) -> None:
    land(tmp_path, name, TURNS.format("2025-04-14"))
    land(tmp_path, "voice_turns.csv", TURNS.format("2025-02-21"))
    assert Companions(tmp_path / "landing").of("irembo/voice_turns.csv") == []


def test_many_files_in_one_folder_are_listed_and_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand exports of turns beside a thousand of sessions: to ask for each pair would take minutes."""
    for n in range(1, 8):
        land(tmp_path, f"voice_sessions_{n}.csv", SESSIONS.format(f"2025-04-0{n}"))
        land(tmp_path, f"voice_turns_{n}.csv", TURNS.format("2025-02-21"))
    listed: list[Path] = []
    hashed: list[Path] = []
    scandir, sha256_of = os.scandir, indexing.sha256_of
    monkeypatch.setattr(companions.os, "scandir", lambda path: listed.append(path) or scandir(path))
    monkeypatch.setattr(indexing, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    known = look(tmp_path)
    assert len(known["irembo/voice_turns_1.csv"].companions) == 7
    assert len(hashed) == len(set(hashed)) == 14
    # landing and the folder by the scan, the folder by the look for news, and by the look into them
    assert len(listed) == 4
    listed.clear()
    assert look(tmp_path, known) == known
    assert len(listed) == 3


# -- what they say ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created_at", "zone", "day"),
    [
        ("2025-02-21", "Africa/Kigali", "2025-02-21"),
        (" 2025-02-21 ", "America/New_York", "2025-02-21"),
        ("2025-02-21T23:30:00Z", "UTC", "2025-02-21"),
        ("2025-02-21T23:30:00Z", "Africa/Kigali", "2025-02-22"),
        ("2025-02-21T23:30:00", "Africa/Kigali", "2025-02-21"),
        ("2025-02-21T01:30:00+02:00", "UTC", "2025-02-20"),
        ("2025-02-21 23:30:00.5Z ", "Africa/Kigali", "2025-02-22"),
    ],
)
def test_turns_lie_on_the_day_that_their_session_has_in_the_sources_zone(
    tmp_path: Path, created_at: str, zone: str, day: str
) -> None:
    land(tmp_path, "voice_sessions.csv", SESSIONS.format(created_at))
    land(tmp_path, "voice_turns.csv", TURNS.format("2025-01-01"))
    files = look(tmp_path, zone=zone)
    assert days(files) == {"voice_sessions.csv": [day], "voice_turns.csv": [day]}
    refinery = Refinery(tmp_path / "landing", tmp_path / "lake", zone, Pseudonymiser(b"k" * 32), [day])
    loads = refinery.refine(day, list(files.values()))  # it holds the account against the index
    refinery.close()
    assert {load.dataset: sum(file.rows_loaded for file in load.files) for load in loads} == {"sessions": 1, "turns": 1}


def test_turns_that_were_filed_by_the_letters_of_a_time_are_looked_at_again(tmp_path: Path) -> None:
    land(tmp_path, "voice_turns.csv", TURNS.format("2025-01-01"))
    known = {path: replace(file, read_by=f"{reading.VERSION}/1") for path, file in look(tmp_path).items()}
    assert refresh(tmp_path / "landing", known, timezone="UTC", quiet_seconds=0).fresh


# -- lists that no file dates ----------------------------------------------------------------------------------------

USERS = "user_id\nU1\nU2\n"


def landed_in_turn(root: Path, *names: str) -> dict[str, IndexedFile]:
    """Index after each of the files; what has no day of its own came on 2025-08-01."""
    texts = {
        "applications.csv": "application_id,session_id,user_id,status,submitted_at\nA1,S1,U1,completed,2025-02-20\n",
        "users.csv": USERS,
        "voice_ai_metrics.csv": "session_id\nS9\n",
        "voice_sessions.csv": SESSIONS.format("2025-02-21") + "S2,U2,completed,2025-02-23\n",
        "voice_turns.csv": TURNS.format("2025-01-01"),
    }
    known: dict[str, IndexedFile] = {}
    for name in names:
        os.utime(land(root, name, texts[name]), (1754006400, 1754006400))
        known = look(root, known)
    return known


@pytest.mark.parametrize(
    "names",
    [
        ("users.csv", "voice_sessions.csv", "voice_turns.csv", "voice_ai_metrics.csv", "applications.csv"),
        ("voice_ai_metrics.csv", "applications.csv", "users.csv", "voice_turns.csv", "voice_sessions.csv"),
        ("voice_sessions.csv", "applications.csv", "voice_turns.csv", "voice_ai_metrics.csv", "users.csv"),
    ],
)
def test_the_same_landing_gives_the_same_days_whatever_came_first(tmp_path: Path, names: tuple[str, ...]) -> None:
    known = landed_in_turn(tmp_path, *names)
    assert known == look(tmp_path)
    assert days(known)["users.csv"] == ["2025-02-20"]
    assert known["irembo/users.csv"].rows == {"users": {"2025-02-20": 2}}
    assert days(known)["voice_ai_metrics.csv"] == ["2025-02-21"]
    assert refresh(tmp_path / "landing", known, timezone="UTC", quiet_seconds=0).fresh == []


def test_a_list_follows_when_the_files_beside_it_change_or_go(tmp_path: Path) -> None:
    known = landed_in_turn(tmp_path, "users.csv", "voice_sessions.csv")
    assert days(known)["users.csv"] == ["2025-02-21"]
    path = land(tmp_path, "voice_sessions.csv", SESSIONS.format("2025-03-01"))
    known = look(tmp_path, known)
    assert days(known)["users.csv"] == ["2025-03-01"]
    path.unlink()
    assert days(look(tmp_path, known)) == {"users.csv": ["2025-08-01"]}


@pytest.mark.parametrize("stray", ["1970-01-01", "2003-05-01", "2024-02-21"])
@pytest.mark.parametrize("is_list_first", [True, False])
def test_a_stray_date_moves_no_list(tmp_path: Path, stray: str, is_list_first: bool) -> None:
    """The list would lie on a day without any session, outside the partitions or at a new start of them."""
    sessions = "".join(f"S{n},U1,completed,2025-0{n % 3 + 2}-21\n" for n in range(30))
    texts = {"users.csv": USERS, "voice_sessions.csv": SESSIONS.format(stray) + sessions}
    known: dict[str, IndexedFile] = {}
    for name in sorted(texts, reverse=not is_list_first):
        land(tmp_path, name, texts[name])
        known = look(tmp_path, known)
    assert known == look(tmp_path)
    assert days(known)["users.csv"] == ["2025-02-21"]
    assert stray in days(known)["voice_sessions.csv"]
    found = refresh(tmp_path / "landing", {}, timezone="UTC", quiet_seconds=0)
    assert min(found.home_days) == "2025-02-21"


def test_a_list_goes_by_the_many_records_that_a_long_break_parts_from_a_few(tmp_path: Path) -> None:
    for name, day in {"a_voice_sessions.csv": "2023-01-01", "b_voice_sessions.csv": "2025-02-21"}.items():
        land(tmp_path, name, SESSIONS.format(day) + "S2,U2,completed,2025-03-01\n")
    land(tmp_path, "users.csv", USERS)
    assert days(look(tmp_path))["users.csv"] == ["2025-02-21"]


def test_a_day_in_a_lists_name_is_its_day_whatever_lies_beside_it(tmp_path: Path) -> None:
    land(tmp_path, "users-2025-05-05.csv", USERS)
    land(tmp_path, "voice_sessions.csv", SESSIONS.format("2025-02-21"))
    assert days(look(tmp_path))["users-2025-05-05.csv"] == ["2025-05-05"]


def test_a_list_moves_without_being_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = landed_in_turn(tmp_path, "users.csv", "voice_turns.csv")
    read: list[str] = []
    blocks = indexing.readable_blocks

    def noted(landing: Path, paths: list[str], problems: dict[str, UnreadableFileError]) -> Iterator[tuple[str, Block]]:
        read.extend(paths)
        return blocks(landing, paths, problems)

    monkeypatch.setattr(indexing, "readable_blocks", noted)
    land(tmp_path, "voice_sessions.csv", SESSIONS.format("2025-02-21"))
    assert days(look(tmp_path, known))["users.csv"] == ["2025-02-21"]
    assert read == ["irembo/voice_sessions.csv", "irembo/voice_turns.csv"]


def test_a_short_look_leaves_lists_to_the_next_one_rather_than_guess_their_day(tmp_path: Path) -> None:
    land(tmp_path, "users.csv", USERS)
    land(tmp_path, "voice_sessions.csv", SESSIONS.format("2025-02-21"))
    found = refresh(tmp_path / "landing", {}, timezone="UTC", quiet_seconds=0, limit_bytes=1)
    assert [file.path for file in found.fresh] == ["irembo/voice_sessions.csv"]
