"""Forgetting a person, and keeping to the limits: on the whole platform, with the other people's figures beside it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg import sql
from rich.console import Console

from tests.integration.world import World, session
from voiceai_assets import erasing, retention
from voiceai_assets.cli import privacy
from voiceai_assets.lake.account import LakeDay
from voiceai_assets.lake.indexing import sha256_of
from voiceai_assets.lake.mending import mend
from voiceai_assets.privacy.pseudonyms import load_pseudonymiser
from voiceai_assets.runs import run_days
from voiceai_assets.warehouse.copy import HalfWrittenError

WHO = "U1303-erase"
#: Sessions of the person, as the sources name them.
THEIRS = ("json-9001", "csv-9001", "parquet-9001", "irembo-9001", "CALL-9001")
DAYS = ["2026-08-01", "2026-08-02", "2026-08-03", "2026-08-04"]

#: Kills, restarts and whole erasures take minutes: `make test-slow`.
pytestmark = pytest.mark.slow


def nothing(*_: str) -> None:
    """Hears of a step and does nothing."""


def erase(world: World, who: str = WHO, *, says: bool = True) -> tuple[int, str]:
    """The command, with its words."""
    words = io.StringIO()
    console = Console(file=words, width=200)
    status = privacy.erase(world.pipeline, who, console, console, lambda _: says)
    return status, words.getvalue()


def retain(world: World, *, is_rehearsal: bool = False) -> tuple[int, str]:
    words = io.StringIO()
    console = Console(file=words, width=200)
    return privacy.retain(world.pipeline, console, console, is_rehearsal=is_rehearsal), words.getvalue()


# -- a world with one person in every corner ---------------------------------------------------------------------------


def people(prefix: str, day: str, **fields: Any) -> list[dict[str, Any]]:
    """Turns of the person and of two others."""
    return [
        row
        for number, user in ((9001, WHO), (9002, "other-1"), (9003, "other-2"))
        for row in session(f"{prefix}-{number}", f"{day}T10:00", user_id=user, user_text=f"I am {user}", **fields)
    ]


def write_csv(path: Path, rows: list[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(gzip.compress(out.getvalue().encode()) if path.suffix == ".gz" else out.getvalue().encode())


def land_irembo(folder: Path) -> None:
    """Turns without a user; sessions, applications and users with one. An application need not be the session's."""
    sessions = [
        {"session_id": f"irembo-{n}", "user_id": who, "final_outcome": "completed", "created_at": "2026-08-04"}
        for n, who in ((9001, WHO), (9002, "other-1"))
    ]
    turns = [
        {"turn_id": f"T{n}{i}", "session_id": f"irembo-{n}", "turn_number": i, "speaker": "user",
         "asr_confidence": 0.8, "created_at": "2026-08-04"}
        for n in (9001, 9002) for i in (1, 2)
    ]  # fmt: skip
    applications = [
        {
            "application_id": f"A{i}",
            "session_id": at,
            "user_id": who,
            "status": "completed",
            "submitted_at": "2026-08-04",
        }
        for i, (at, who) in enumerate([("irembo-9001", WHO), ("irembo-9002", "other-1"), ("irembo-9001", "other-2")])
    ]
    write_csv(folder / "voice_sessions.csv", sessions)
    write_csv(folder / "voice_turns.csv", turns)
    write_csv(folder / "applications.csv", applications)
    write_csv(folder / "users.csv", [{"user_id": WHO, "region": "north"}, {"user_id": "other-1", "region": "south"}])


def land_everywhere(world: World) -> None:
    """The person in four sources and five formats, with others beside them."""
    canonical, landing = world.landing, world.settings.landing
    broken = f'{{"session_id": "json-9001", "user_id": "{WHO}", "turn_number": '
    filler = [row for n in range(300) for row in session(f"filler-{n}", f"{DAYS[0]}T09:00", turns=1)]
    text = "".join(json.dumps(row) + "\n" for row in [*people("json", DAYS[0]), *filler])
    (canonical / f"{DAYS[0]}.jsonl").write_text(text + broken + "\n")
    write_csv(canonical / f"{DAYS[1]}.csv.gz", people("csv", DAYS[1]))
    pd.DataFrame(people("parquet", DAYS[2])).to_parquet(canonical / f"{DAYS[2]}.parquet")
    land_irembo(landing / "irembo")
    call = {"timestamp": f"{DAYS[1]}T12:00:00Z", "agent_name": "Aria", "transcript_text": "Agent: Hello Customer: Hi"}
    (landing / "converza").mkdir()
    theirs = [{"call_id": "CALL-9001", "customer_number": WHO, **call}, {"call_id": "CALL-9001"}]
    (landing / "converza" / "CALL-9001.json").write_text(json.dumps(theirs))
    others = [{"call_id": f"CALL-{n}", "customer_number": "other-1", **call} for n in range(200)]
    (landing / "converza" / "others.json").write_text(json.dumps(others))
    (landing / "events").mkdir()
    rows = [
        {"experiment_id": "x", "variant_id": "v", "unit_id": unit, "assigned_at": f"{DAYS[2]}T08:00:00Z"}
        for unit in (WHO, "other-1", "csv-9001")
    ]
    (landing / "events" / "assignments.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    world.look()


def run(world: World, days: Iterable[str] = DAYS) -> None:
    """As `voiceai materialize` does: into Dagster's real instance, whose event log is searched too."""
    run_days(world.pipeline, list(days), nothing)


@pytest.fixture
def populated(world: World) -> World:
    """Everything landed and certified, one day of it in two versions, one file mended."""
    land_everywhere(world)
    run(world)
    path = world.landing / f"{DAYS[0]}.jsonl"
    first_other = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if "json-9002" in line)
    record = json.loads(path.read_text().splitlines()[first_other - 1]) | {"intent": "corrected"}
    mend(path, {first_other: json.dumps(record)}, world.settings.home / "replaced" / "abc-day.jsonl", sha256_of(path))
    world.look()
    run(world, DAYS[:1])
    # a sample of offending rows holds whatever the rule selects
    world.query(
        "update governance.quality_results set sample = %s::jsonb "
        "where check_name like '%%day_has_records' returning 1",
        json.dumps([{"session_id": "json-9001", "user_id": load_pseudonymiser(world.settings)(WHO), "n": 1.5}]),
    )
    return world


# -- looking -----------------------------------------------------------------------------------------------------------


def places(world: World) -> Iterator[tuple[str, str]]:
    """Every file of the home but the server's own, and every table of both databases, as text; no code of ours."""
    for path in sorted(p for p in world.settings.home.rglob("*") if p.is_file()):
        name = path.relative_to(world.settings.home).as_posix()
        if name.startswith("postgres/") and name != "postgres/log":
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = zlib.decompressobj(wbits=31).decompress(content)  # a damaged one up to where it breaks off
        if path.suffix == ".parquet":
            content = json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=str).encode()
        yield name, name + content.decode(errors="replace")
    warehouse = world.pipeline.warehouse
    for address in (warehouse.admin, warehouse.dagster):
        with psycopg.connect(address.libpq()) as connection:
            tables = connection.execute(
                "select schemaname, tablename from pg_tables where schemaname !~ '^(pg_|information_schema)'"
            ).fetchall()
            for schema, table in tables:
                rows = connection.execute(
                    sql.SQL("select t::text from {} t").format(sql.Identifier(schema, table))
                ).fetchall()
                yield f"{schema}.{table}", "\n".join(row for (row,) in rows)


def found(world: World, needles: Iterable[str]) -> dict[str, set[str]]:
    """Where anything is left, and what."""
    wanted = re.compile("|".join(map(re.escape, needles)))
    hits = {place: set(wanted.findall(text)) for place, text in places(world)}
    return {place: names for place, names in hits.items() if names}


def needles(world: World, *besides: str) -> list[str]:
    pseudonymise = load_pseudonymiser(world.settings)
    known = {WHO, pseudonymise(WHO), *THEIRS, *(pseudonymise(s) for s in THEIRS)}
    return sorted(known - set(besides))


def figures(world: World) -> list[dict[str, Any]]:
    """What a dashboard sees of everybody else, but for the names of loads and versions."""
    with world.as_reader() as connection:
        frames = []
        for mart in ("fact_voice_ai_sessions", "fact_voice_ai_turns"):
            cursor = connection.execute(
                sql.SQL(
                    "select * from certified.{} where session_id <> all(%s) order by session_id, session_date"
                ).format(sql.Identifier(mart)),
                [list(THEIRS)],
            )
            names = [column.name for column in cursor.description or ()]
            frames += [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    ignored = {"load_id", "publication_version", "certificate_id"}
    return sorted(
        ({k: v for k, v in row.items() if k not in ignored} for row in frames),
        key=lambda row: json.dumps(row, default=str),
    )


def snapshot(world: World) -> dict[str, str]:
    return {place: text for place, text in places(world) if not place.startswith(("logs/", "postgres/", "dagster/"))}


# -- erasing -----------------------------------------------------------------------------------------------------------


def test_a_person_is_forgotten_everywhere_and_nobody_else_changes(populated: World) -> None:
    world = populated
    untouched, before = snapshot(world), figures(world)
    assert len(before) > 300
    status, words = erase(world, says=False)
    assert (status, snapshot(world)) == (1, untouched), "what is not confirmed is not done"
    hits = found(world, needles(world))
    expected = {"landing", "lake", "replaced/abc-day.jsonl", "raw.turns", "event_logs", "governance.quarantine"}
    expected |= {f"governance.{name}" for name in ("quality_results", "certificates", "loads", "load_files")}
    assert [part for part in expected if not any(part in place for place in hits)] == [], hits.keys()

    status, words = erase(world)
    assert status == 0, words
    # the application of somebody else still says which session it is said to come from
    left = found(world, needles(world, "irembo-9001"))
    assert left == {}
    mentions = found(world, ["irembo-9001"])
    assert {place.split("_2")[0] for place in mentions} == {
        "landing/irembo/applications.csv",
        "lake/applications/date=2026-08-04/rows.parquet",
        "raw.applications",
        "marts.fact_applications",
        "published.fact_applications",
    }
    assert figures(world) == before
    assert {world.status(day) for day in DAYS} <= {"certified", "certified with warnings"}
    assert not world.pipeline.days_to_repair(DAYS)
    assert "nothing" in words
    assert not (world.settings.landing / "converza" / "CALL-9001.json").exists()

    (entry,) = world.query("select days::text[] as days, removed, is_clean, finished_at from governance.erasures")
    assert entry["days"] == DAYS
    assert entry["is_clean"]
    assert entry["removed"] == {
        "applications": 1,
        "assignments": 2,
        "calls": 2,
        "sessions": 1,
        "turns": 3 + 1 + 3 + 3 + 2 + 2,
        "users": 1,
    }

    after = snapshot(world)
    status, words = erase(world)
    assert status == 0, words
    assert "nothing is left" in words
    assert snapshot(world) == after, "a second erasure changes nothing"


def test_a_file_that_is_landed_again_does_not_bring_the_person_back(populated: World, tmp_path: Path) -> None:
    world = populated
    originals = tmp_path / "landing"
    shutil.copytree(world.settings.landing, originals)
    assert erase(world)[0] == 0
    after = figures(world)
    loads = {row["load_id"] for row in world.query("select load_id from governance.loads where is_live")}

    shutil.copytree(originals, world.settings.landing, dirs_exist_ok=True)
    world.look()
    assert world.status(DAYS[0]) == "stale"
    run(world)
    assert figures(world) == after
    assert {world.status(day) for day in DAYS} <= {"certified", "certified with warnings"}
    assert not world.pipeline.days_to_repair(DAYS), "the load id says what was left out, so nothing is due"
    names = needles(world, "irembo-9001", "CALL-9001")  # a file of this name lies in landing again
    assert {place.split("/")[0] for place in found(world, names)} == {"landing"}
    booked = world.query(
        "select file, rows_in, rows_loaded, rows_quarantined, rows_duplicate, rows_erased from governance.load_files "
        "where dataset = 'turns' and day = %s",
        DAYS[1],
    )
    account = next(row for row in booked if row["file"].endswith(".csv.gz"))
    assert account | {"rows_erased": 3, "rows_quarantined": 3, "rows_loaded": 6, "rows_in": 9} == account
    reasons = world.query("select distinct reason, raw_text from governance.quarantine where reason = 'erased'")
    assert reasons == [{"reason": "erased", "raw_text": None}]
    again = {row["load_id"] for row in world.query("select load_id from governance.loads where is_live")}
    assert not again & loads

    # forgetting once more cleans what came again
    status, words = erase(world)
    assert status == 0, words
    assert found(world, needles(world, "irembo-9001")) == {}


@pytest.fixture
def small(world: World) -> World:
    """A day of turns that name the person, and of turns that only their sessions file does."""
    world.land("a.jsonl", people("json", "2026-08-04"))
    land_irembo(world.settings.landing / "irembo")
    world.look()
    run(world, ["2026-08-04"])
    return world


@pytest.mark.parametrize("step", ["_clean_texts", "_clean_landing", "_sweep"])
def test_an_interrupted_erasure_is_completed_by_the_next(
    small: World, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = small
    before = figures(world)
    with monkeypatch.context() as patched:
        original = getattr(erasing, step)

        def interrupted(*arguments: Any) -> Any:
            if step != "_clean_texts":
                original(*arguments)
            raise KeyboardInterrupt

        patched.setattr(erasing, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            erase(world)
    status, words = erase(world)
    assert status == 0, words
    assert found(world, needles(world, "irembo-9001")) == {}
    assert figures(world) == before
    assert not world.query("select 1 from governance.erasures where finished_at is null")


def test_landing_interrupted_between_a_session_and_its_turns_is_completed(
    small: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sessions file no longer says whose session it was, and a run has emptied raw: the tombstone still knows."""
    world = small
    with monkeypatch.context() as patched:
        original = erasing.remove_from_landing

        def only_sessions(landing: Path, hits: Any, *rest: Any) -> Any:
            original(landing, {path: hit for path, hit in hits.items() if "voice_sessions" in path}, *rest)
            raise KeyboardInterrupt

        patched.setattr(erasing, "remove_from_landing", only_sessions)
        with pytest.raises(KeyboardInterrupt):
            erase(world)
    world.look()
    run(world, ["2026-08-04"])
    assert not world.query("select 1 from raw.turns where session_id = 'irembo-9001'"), "already refused"
    status, words = erase(world)
    assert status == 0, words
    assert "irembo-9001" not in (world.settings.landing / "irembo" / "voice_turns.csv").read_text()


def test_a_session_shared_with_somebody_else_stays_without_the_persons_records(world: World) -> None:
    rows = session("shared-9001", f"{DAYS[0]}T10:00", turns=4, user_id="other-1")
    rows[1]["user_id"] = WHO
    del rows[2]["user_id"]
    world.land("a.jsonl", [*rows, *session("own-9001", f"{DAYS[0]}T12:00", user_id=WHO)])
    run(world, DAYS[:1])
    status, words = erase(world)
    assert status == 0, words
    assert "shared with somebody else" in words
    left = world.query("select turn_number, user_id is null as nobody from raw.turns order by 1")
    assert left == [{"turn_number": n, "nobody": n == 3} for n in (1, 3, 4)]


def test_a_blocked_day_is_cleaned_as_well(world: World) -> None:
    """Its marts are not built anew when the turns are bad, and what was once published lies there withdrawn."""
    world.land("a.jsonl", people("json", DAYS[0]))
    run(world, DAYS[:1])
    world.land("bad.jsonl", session("bad", f"{DAYS[0]}T11:00", asr_confidence=-5.0))
    run(world, DAYS[:1])
    assert world.status(DAYS[0]) == "blocked"
    assert "marts.fact_voice_ai_sessions_20260801" in found(world, needles(world))
    status, words = erase(world)
    assert status == 0, words
    assert "not certified now: 2026-08-01 blocked" in words
    assert found(world, needles(world)) == {}


def test_what_cannot_be_removed_is_reported_and_fails(world: World) -> None:
    world.land("a.jsonl", [*people("json", DAYS[0])])
    whole = "".join(json.dumps(row) + "\n" for n in range(500) for row in people(f"more{n}", DAYS[0]))
    (world.landing / "b.jsonl.gz").write_bytes(gzip.compress(whole.encode())[:-900])
    (world.landing / f"{WHO}.mp3").write_bytes(b"ID3")
    world.look()
    run(world, DAYS[:1])
    status, words = erase(world)
    assert status == 1
    assert "not removed from canonical/b.jsonl.gz: b.jsonl.gz is a damaged archive" in words
    assert f"left in landing: canonical/{WHO}.mp3: in its name" in words
    assert not world.query("select is_clean from governance.erasures")[0]["is_clean"]
    assert {p.split("/")[0] for p in found(world, [WHO, load_pseudonymiser(world.settings)(WHO)])} <= {
        "landing",
        "governance.landing_files",
        "governance.load_files",
        "governance.loads",
    }


def test_an_unknown_person_is_said_to_be_unknown(world: World) -> None:
    world.land("a.jsonl", session("s", f"{DAYS[0]}T10:00"))
    run(world, DAYS[:1])
    before = figures(world)
    status, words = erase(world, "+250 788 000 999")
    assert status == 0, words
    assert "no record names this ID" in words
    assert figures(world) == before
    world.land("late.jsonl", session("t", f"{DAYS[0]}T12:00", user_id="+250 788 000 999"))
    run(world, DAYS[:1])
    assert world.query("select rows_erased from governance.load_files where file like '%%late%%'") == [
        {"rows_erased": 3}
    ]
    assert world.status(DAYS[0]).startswith("certified"), "refused as erased does not block"


# -- retention ---------------------------------------------------------------------------------------------------------


KEPT = 30


def recent(days_ago: int) -> str:
    return (datetime.now(UTC).date() - timedelta(days=days_ago)).isoformat()


def with_limits(world: World, **limits: int) -> World:
    for name, value in limits.items():
        object.__setattr__(world.settings, name, value)
    return world


def landed_days(world: World) -> tuple[str, str]:
    """An old day in two files, with a user, and the first day that is kept."""
    old, new = recent(KEPT), recent(KEPT - 1)
    text = {"user_text": "hello", "agent_text": "yes", "note": "words", "call_id": "CA1"}
    world.land(f"a-{old}.jsonl", session("old-1", f"{old}T10:00", user_id=WHO, **text))
    world.land(f"b-{old}.jsonl", session("old-2", f"{old}T11:00", **text))
    world.land(f"c-{new}.jsonl", session("new-1", f"{new}T10:00", **text))
    run(world, [old, new])
    return old, new


def test_old_landing_goes_and_its_days_stay_as_they_were(world: World) -> None:
    old, new = landed_days(world)
    before, certificates = (
        figures(world),
        world.query("select certificate_id from governance.publications where is_live"),
    )
    with_limits(world, keep_landing_days=KEPT)
    status, words = retain(world, is_rehearsal=True)
    assert (status, len(list(world.landing.iterdir()))) == (0, 3)
    assert "nothing was changed" in words
    assert retain(world)[0] == 0
    assert [path.name for path in world.landing.iterdir()] == [f"c-{new}.jsonl"]

    def is_as_before() -> bool:
        return (
            figures(world) == before
            and world.status(old) == "certified"
            and world.query("select certificate_id from governance.publications where is_live") == certificates
            and not world.pipeline.days_to_repair([old, new])
        )

    world.look()
    assert is_as_before()
    run(world, [old, new])
    assert is_as_before(), "running the day again loads it from the lake"
    world.look()
    assert retain(world)[1].count("nothing was changed") == 1

    # another adapter, another key: what cannot be read again is not stale either
    changed = world.pipeline.__class__(
        world.settings.model_copy(update={"source_timezone": "Africa/Kigali"}), world.pipeline.warehouse
    )
    marts = "stale: a neighbouring day or the dbt code changed"  # which depend on the zone, and can be built again
    assert changed.days_to_repair([old, new]) == {old: marts, new: "stale: its files changed"}
    # other marts are built from raw, which is still there
    changed = world.pipeline.__class__(
        world.settings.model_copy(update={"session_timeout_minutes": 45}), world.pipeline.warehouse
    )
    run_days(changed, [old], nothing)
    assert world.certified()[old] == 2


def test_what_comes_after_its_day_was_retired_is_not_read_and_not_kept_silent(world: World) -> None:
    old, new = landed_days(world)
    with_limits(world, keep_landing_days=KEPT)
    assert retain(world)[0] == 0
    before = figures(world)
    world.land("late.jsonl", [*session("late", f"{old}T12:00"), *session("now", f"{new}T12:00")])
    assert list(world.pipeline.days_to_repair([old, new])) == [new]
    run(world, [old, new])
    assert world.status(old) == "certified"
    assert world.pipeline.late_files() == {"canonical/late.jsonl": [old]}
    assert f"not read for {old}: canonical/late.jsonl" in retain(world)[1]
    assert (world.landing / "late.jsonl").exists()
    assert [row for row in figures(world) if row["session_id"] != "now"] == before


def test_all_files_of_a_retired_day_landed_again_make_it_an_ordinary_day(world: World, tmp_path: Path) -> None:
    old, _ = landed_days(world)
    shutil.copytree(world.landing, tmp_path / "originals")
    with_limits(world, keep_landing_days=KEPT)
    assert retain(world)[0] == 0
    world.look()
    for path in (tmp_path / "originals").iterdir():
        (world.landing / path.name).write_bytes(path.read_bytes())
    world.land(f"b-{old}.jsonl", session("old-2", f"{old}T11:00", turns=5))
    assert world.pipeline.days_to_repair([old]) == {old: "stale: its files changed"}
    run(world, [old])
    assert world.query("select count(*) as n from raw.turns where turn_date = %s", old) == [{"n": 8}]


def test_what_was_never_loaded_is_not_deleted(world: World) -> None:
    old, _ = landed_days(world)
    other = recent(KEPT + 9)
    world.land("unloaded.jsonl", session("x", f"{other}T10:00"))
    world.land(f"a-{old}.jsonl", session("old-1", f"{old}T10:00", turns=9))
    (world.landing / "calls of 0788123456.jsonl").write_text("{}")
    with_limits(world, keep_landing_days=KEPT)
    status, words = retain(world)
    assert status == 0
    assert "never read, and stays: canonical/calls of" in words
    assert "0788123456" not in words
    assert (world.landing / "unloaded.jsonl").exists()
    assert (world.landing / f"b-{old}.jsonl").exists(), "the day cannot be made again without it"
    assert "canonical/unloaded.jsonl: not loaded as it lies there" in words


def test_a_person_is_forgotten_in_a_day_whose_files_were_retired(world: World) -> None:
    old, new = landed_days(world)
    with_limits(world, keep_landing_days=KEPT)
    assert retain(world)[0] == 0
    before = [row for row in figures(world) if row["session_id"] != "old-1"]
    status, words = erase(world)
    assert status == 0, words
    assert found(world, [WHO, load_pseudonymiser(world.settings)(WHO), "old-1"]) == {}
    assert figures(world) == before
    assert world.status(old).startswith("certified")
    assert not world.pipeline.days_to_repair([old, new])
    account = world.query(
        "select rows_in, rows_loaded, rows_erased from governance.load_files where file like '%%a-%%'"
    )
    assert account == [{"rows_in": 3, "rows_loaded": 0, "rows_erased": 3}]


def test_a_retired_day_in_which_an_erasure_was_killed_is_completed_by_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = landed_days(world)
    with_limits(world, keep_landing_days=KEPT)
    assert retain(world)[0] == 0
    before = [row for row in figures(world) if row["session_id"] != "old-1"]
    place, original = LakeDay(world.settings.lake, "turns", old), Path.replace

    def killed(path: Path, target: Path) -> Path:
        if target == place.account:
            raise KeyboardInterrupt
        return original(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(world)
    with pytest.raises(HalfWrittenError, match="if an erasure was killed, erase again"):
        world.pipeline.load(old)
    status, words = erase(world)
    assert status == 0, words
    assert found(world, [WHO, load_pseudonymiser(world.settings)(WHO), "old-1"]) == {}
    assert figures(world) == before
    assert world.status(old).startswith("certified")
    assert world.query("select sum(rows_erased)::int as n from governance.load_files") == [{"n": 3}]


def test_old_texts_go_from_lake_and_raw_and_no_figure_changes(world: World) -> None:
    old, new = landed_days(world)
    before, certificates = (
        figures(world),
        world.query("select certificate_id from governance.publications where is_live"),
    )
    with_limits(world, keep_text_days=KEPT)
    assert retain(world)[0] == 0

    def texts(day: str) -> set[Any]:
        rows = world.query("select user_text, agent_text, extra::text from raw.turns where turn_date = %s", day)
        stored = pq.read_table(LakeDay(world.settings.lake, "turns", day).rows, partitioning=None).to_pylist()
        return {(r["user_text"], r["agent_text"], json.loads(r["extra"]).get("note")) for r in [*rows, *stored]}

    assert texts(old) == {(None, None, None)}
    assert texts(new) == {("hello", "yes", "words")}
    kept = world.query("select distinct extra ->> 'call_id' as call_id from raw.turns")
    assert kept == [{"call_id": "CA1"}]
    assert not world.pipeline.days_to_repair([old, new])
    run(world, [old, new])
    assert texts(old) == {(None, None, None)}, "running the day again does not bring them back from landing"
    assert figures(world) == before
    assert world.query("select certificate_id from governance.publications where is_live") == certificates
    retention.carry_out(world.pipeline, retention.plan(world.pipeline), nothing)
    assert not retention.plan(world.pipeline).texts


def test_the_schedule_runs_the_job_where_there_is_a_limit(world: World) -> None:
    import dagster as dg

    _, new = landed_days(world)
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 8, 3, 3, 30, tzinfo=UTC))
    assert isinstance(world.definitions().resolve_schedule_def("retention_schedule")(context), dg.SkipReason)
    with_limits(world, keep_landing_days=KEPT)
    definitions = world.definitions()
    assert isinstance(definitions.resolve_schedule_def("retention_schedule")(context), dg.RunRequest)
    result = definitions.resolve_job_def("retention_job").execute_in_process(instance=world.instance)
    assert result.success
    assert [path.name for path in world.landing.iterdir()] == [f"c-{new}.jsonl"]
