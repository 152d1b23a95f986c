"""Verification, trace and restatement on a real installation: clean, then one thing tampered with at a time."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.world import World, session
from voiceai_assets.governance.findings import Finding
from voiceai_assets.governance.recount import recount
from voiceai_assets.governance.trace import UntraceableError, trace_file, trace_number, trace_session
from voiceai_assets.governance.verify import head_of_chain, known_days, verify

FIRST, SECOND, BAD = "2026-08-01", "2026-08-02", "2026-08-03"
FACT = "fact_voice_ai_sessions"
pytestmark = pytest.mark.timeout(900)  # the first test waits for three days in one run


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Two certified days, one of them published again with late data, and a blocked one."""
    folder = Path(tempfile.mkdtemp(prefix="voiceai-test-"))
    made = World(folder / "home", os.environ.get("TEST_DATABASE_URL"), code_revision="one")
    try:
        (made.landing / f"turns-{FIRST}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in session("a", f"{FIRST}T10:00"))
            + '{"session_id": "broken"}\n'
            + "".join(json.dumps(row) + "\n" for row in session("b", f"{FIRST}T11:00", session_outcome="abandoned"))
            # one refused record among so many warns and does not block
            + "".join(json.dumps(row) + "\n" for n in "ef" for row in session(n, f"{FIRST}T12:00", turns=60))
        )
        made.land(f"turns-{SECOND}.jsonl", session("c", f"{SECOND}T10:00"))
        made.land(f"turns-{BAD}.jsonl", session("d", f"{BAD}T10:00", asr_confidence=-2.0))
        made.run(FIRST, BAD)
        assert all(made.status(day).startswith("certified") for day in (FIRST, SECOND))
        made.land("late.jsonl", session("late", f"{SECOND}T15:00", session_outcome="abandoned"))
        assert made.run(SECOND).success
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def _differences(world: World, *days: str, is_quick: bool = True, head: str | None = None) -> list[Finding]:
    found = verify(world.pipeline, days or known_days(world.pipeline), lambda *_: None, is_quick=is_quick, head=head)
    return [finding for finding in found if finding.is_difference]


@contextmanager
def _changed(world: World, change: str, back: str) -> Iterator[None]:
    """As somebody would who may write into the database."""
    with world.pipeline.warehouse.connect() as connection:
        connection.execute(change)  # type: ignore[arg-type]
    yield
    with world.pipeline.warehouse.connect() as connection:
        connection.execute(back)  # type: ignore[arg-type]


# -- verify ------------------------------------------------------------------------------------------------------------


def test_what_nobody_touched_verifies_from_the_files_up(world: World) -> None:
    assert verify(world.pipeline, known_days(world.pipeline), lambda *_: None) == []
    left = world.query("select nspname from pg_namespace where nspname like 'verify%%'")
    assert left == [], "the shadow of the marts goes"
    assert list(world.settings.home.glob(".verify-*")) == []


def test_one_row_of_published_is_found_and_named(world: World) -> None:
    table = f"published.{FACT}"
    change = f"update {table} set turn_count = turn_count + 1 where session_id = 'a'"
    with _changed(world, change, change.replace("+", "-")):
        (found,) = _differences(world)
        assert (found.place, found.day) == (table, FIRST)
        assert "version 1 has content" in found.text
    assert _differences(world) == []


def test_a_row_that_was_added_to_published_is_found(world: World) -> None:
    table = f"published.{FACT}"
    change = f"insert into {table} select * from {table} where session_id = 'a'"
    undo = (
        f"delete from {table} where ctid = (select max(ctid) from {table} where session_id = 'a') and session_id = 'a'"
    )
    with _changed(world, change, undo):
        (found,) = _differences(world)
        assert (found.place, found.day) == (table, FIRST)
        assert "5 rows instead of 4" in found.text
    with _changed(
        world,
        f"insert into {table} (publication_id, session_date, session_id) values (-1, '{FIRST}', 'stray')",
        f"delete from {table} where publication_id = -1",
    ):
        assert [(f.place, f.text) for f in _differences(world)] == [(table, "1 row(s) of no publication")]


def test_a_view_that_shows_readers_something_else_is_found(world: World) -> None:
    with world.pipeline.warehouse.connect() as connection:
        row = connection.execute("select pg_get_viewdef('certified.user_sessions'::regclass)").fetchone()
    assert row is not None
    honest = row[0].rstrip().rstrip(";")
    with _changed(
        world,
        f"create or replace view certified.user_sessions as select * from ({honest}) t limit 0",
        f"create or replace view certified.user_sessions as {honest}",
    ):
        assert {f.place for f in _differences(world)} == {"certified.user_sessions"}


LEDGER_ROWS = [
    (
        "governance.loads",
        (
            f"update governance.loads set rows_in = rows_in + 1, rows_duplicate = rows_duplicate + 1 "
            f"where dataset = 'turns' and day = '{FIRST}' and is_live"
        ),
        (
            f"update governance.loads set rows_in = rows_in - 1, rows_duplicate = rows_duplicate - 1 "
            f"where dataset = 'turns' and day = '{FIRST}' and is_live"
        ),
    ),
    (
        "governance.load_files",
        f"update governance.load_files set sha256 = reverse(sha256) where day = '{FIRST}'",
        f"update governance.load_files set sha256 = reverse(sha256) where day = '{FIRST}'",
    ),
    (
        "governance.quality_results",
        (
            "update governance.quality_results set observed = '{\"element_count\": 5}' "
            f"where day = '{FIRST}' and check_name = 'turns_are_plausible.speaker_is_known'"
        ),
        (
            "update governance.quality_results set observed = (select c ->> 'observed' from governance.certificates, "
            "jsonb_array_elements(body::jsonb -> 'checks') c where c ->> 'check_name' = check_name and "
            f"certificates.day = '{FIRST}')::jsonb where day = '{FIRST}' and observed = '{{\"element_count\": 5}}'"
        ),
    ),
    (
        "governance.publications",
        f"update governance.publications set row_count = row_count + 7 where day = '{FIRST}' and mart = 'sla_daily'",
        f"update governance.publications set row_count = row_count - 7 where day = '{FIRST}' and mart = 'sla_daily'",
    ),
    (
        "governance.figures",
        (
            "update governance.figures set numerator = numerator + 1 from governance.publications p "
            f"where p.publication_id = figures.publication_id and p.day = '{FIRST}' and metric = 'completion'"
        ),
        (
            "update governance.figures set numerator = numerator - 1 from governance.publications p "
            f"where p.publication_id = figures.publication_id and p.day = '{FIRST}' and metric = 'completion'"
        ),
    ),
    (
        "governance.certificates",
        f"update governance.certificates set body = replace(body, '\"UTC\"', '\"XYZ\"') where day = '{FIRST}'",
        f"update governance.certificates set body = replace(body, '\"XYZ\"', '\"UTC\"') where day = '{FIRST}'",
    ),
    (
        "governance.certificates",
        f"update governance.certificates set chain_sha256 = reverse(chain_sha256) where day = '{FIRST}'",
        f"update governance.certificates set chain_sha256 = reverse(chain_sha256) where day = '{FIRST}'",
    ),
]


@pytest.mark.parametrize(("place", "change", "back"), LEDGER_ROWS, ids=[f"{n}" for n in range(len(LEDGER_ROWS))])
def test_one_row_of_a_ledger_is_found_and_named(world: World, place: str, change: str, back: str) -> None:
    with _changed(world, change, back):
        assert place in {finding.place for finding in _differences(world)}
    assert _differences(world) == []


def test_a_verdict_that_the_results_do_not_give_is_found(world: World) -> None:
    change = "update governance.verdicts set status = '{}' where day = '" + BAD + "'"
    with _changed(world, change.format("certified"), change.format("blocked")):
        (found,) = _differences(world)
        assert (found.place, found.day) == ("governance.verdicts", BAD)
        assert "the results give 'blocked'" in found.text


def test_files_lake_raw_and_marts_are_each_found_where_they_were_changed(world: World) -> None:
    landed = world.landing / f"turns-{FIRST}.jsonl"
    lake = world.settings.lake / "turns" / f"date={SECOND}" / "rows.parquet"
    kept = {path: path.read_bytes() for path in (landed, lake)}
    stamps = {path: path.stat() for path in kept}
    landed.write_bytes(kept[landed].replace(b"0.8", b"0.9"))
    lake.write_bytes(kept[lake][:-1] + bytes([kept[lake][-1] ^ 1]))
    change = f"update raw.turns set user_text = {{}} where turn_date = '{BAD}' and turn_number = 2"
    mart = "update marts.user_sessions set session_id = '{}' where session_id = '{}'"
    with (
        _changed(world, change.format("'never said'"), change.format("null")),
        _changed(world, mart.format("x", "a"), mart.format("a", "x")),
    ):
        found = {(finding.place, finding.day): finding.text for finding in _differences(world, is_quick=False)}
    for path, content in kept.items():
        path.write_bytes(content)
        os.utime(path, ns=(stamps[path].st_atime_ns, stamps[path].st_mtime_ns))
    assert "has sha256" in found.pop((f"landing/canonical/{landed.name}", FIRST))
    assert "has sha256" in found.pop((f"lake/turns/date={SECOND}/rows.parquet", SECOND))
    assert "1 row(s) (line 2) that the files do not give" in found.pop(("raw.turns", BAD))
    assert "4 row(s) that differ" in found.pop(("marts.user_sessions", FIRST))
    assert found == {}


def test_a_file_that_retention_removed_is_a_remark(world: World) -> None:
    path = world.landing / f"turns-{FIRST}.jsonl"
    kept, stat = path.read_bytes(), path.stat()
    path.unlink()
    change = "update governance.landing_files set retired_at = {} where path = 'canonical/" + path.name + "'"
    try:
        with recount(world.pipeline, [FIRST]) as again:
            assert ["is gone" in finding.text for finding in again.day(FIRST)] == [True]
        with _changed(world, change.format("now()"), change.format("null")), recount(world.pipeline, [FIRST]) as again:
            found = again.day(FIRST)
        assert [(f.is_difference, "retention" in f.text) for f in found] == [(False, True)]
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_head_that_was_noted_is_part_of_the_chain_and_another_is_not(world: World) -> None:
    with world.pipeline.warehouse.connect() as connection:
        head = head_of_chain(connection)
    assert head
    assert _differences(world, head=head) == []
    (found,) = _differences(world, head="0" * 64)
    assert "the chain does not contain" in found.text


# -- trace -------------------------------------------------------------------------------------------------------------


def _traced(world: World, follow: Callable[..., Any], *arguments: Any) -> Any:
    with world.pipeline.warehouse.connect() as connection:
        return follow(connection, *arguments)


def test_a_number_leads_to_its_file_and_the_line_that_was_refused(world: World) -> None:
    import hashlib

    found = _traced(world, trace_number, FACT, FIRST, "completion")
    (figure,) = found["figures"]
    assert (figure["numerator"], figure["denominator"]) == (3, 4)
    (load,) = found["loads"]
    (file,) = load["files"]
    assert file["file"] == f"canonical/turns-{FIRST}.jsonl"
    assert file["sha256"] == hashlib.sha256((world.landing / f"turns-{FIRST}.jsonl").read_bytes()).hexdigest()
    assert file["refused"]["lines"] == [4]
    assert found["certificate"]["code"]["revision"] == "one"
    assert len(found["certificate"]["code"]["lock"]) == 64
    assert found["checks"]["total"] > 10


def test_a_session_leads_to_its_lines(world: World) -> None:
    found = _traced(world, trace_session, "b")
    assert [row["line"] for row in found] == [5, 6, 7]


def test_a_file_leads_to_every_number_it_touches_also_by_a_copy_elsewhere(world: World, tmp_path: Path) -> None:
    found = _traced(world, trace_file, "canonical/late.jsonl", world.settings.landing)
    touched = {(row["day"], row["mart"], row["version"]) for row in found["published"] if row["is_live"]}
    assert (SECOND, FACT, 2) in touched
    assert {day for day, _, _ in touched} == {SECOND}
    assert "gold_performance_metrics" not in {mart for _, mart, _ in touched}, "calls do not come from turns"
    assert "completion v1" in found["metrics"]
    assert "overview" in found["exposures"]
    copied = tmp_path / "renamed"
    shutil.copyfile(world.landing / "late.jsonl", copied)
    assert _traced(world, trace_file, str(copied), world.settings.landing)["files"] == ["canonical/late.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("no_such_mart", FIRST), "is no mart"),
        (("dim_users", FIRST), "is a view over published days, made from user_list_entries"),
        ((FACT, BAD), "was never published"),
        ((FACT, FIRST, "conversion"), "it is computed from gold_performance_metrics"),
    ],
)
def test_what_cannot_be_traced_says_why(world: World, arguments: tuple[str, ...], words: str) -> None:
    with pytest.raises(UntraceableError, match=words):
        _traced(world, trace_number, *arguments)


# -- restatement -------------------------------------------------------------------------------------------------------


def test_late_data_is_a_restatement_with_reason_figures_and_those_affected(world: World) -> None:
    with world.as_reader() as reader:
        found = reader.execute(
            "select day::text, old_version, new_version, reason, marts, exposures from certified.restatements"
        ).fetchall()
        assert len(found) == 1
        day, old, new, reason, marts, exposures = found[0]
        assert (day, old, new) == (SECOND, 1, 2)
        assert reason == "1 file(s) arrived later, with 3 records"
        assert FACT in marts
        assert "gold_performance_metrics" not in marts
        assert "overview" in exposures
        history = reader.execute(
            "select version, numerator, denominator, previous_value, is_first, is_live from certified.figure_history "
            "where metric = 'completion' and day = %s order by version",
            [SECOND],
        ).fetchall()
    assert history == [(1, 1, 1, None, True, False), (2, 1, 2, 1, False, True)]


def test_aggregates_can_be_read_as_reported_and_as_restated(world: World) -> None:
    query = "select sum(session_count) from certified.agg_sessions_daily_versions where session_date = %s and "
    with world.as_reader() as reader:
        as_reported, restated = (
            reader.execute(query + which, [SECOND]).fetchone()
            for which in ("is_first", "is_live")  # type: ignore[operator]
        )
        now = reader.execute(
            "select sum(session_count) from certified.agg_sessions_daily where session_date = %s", [SECOND]
        ).fetchone()
        query = "select table_name from information_schema.views where right(table_name, 9) = '_versions'"
        views = {name for (name,) in reader.execute(query).fetchall()}
    assert (as_reported, restated) == ((1,), (2,))
    assert now == restated
    assert f"{FACT}_versions" not in views, "old rows of single sessions are not kept for readers"


def test_a_day_that_is_run_again_unchanged_is_no_restatement(world: World) -> None:
    assert world.run(SECOND).success
    assert world.query("select count(*) as n from governance.restatements") == [{"n": 1}]


def test_a_reader_sees_no_name_of_a_file_and_no_sample(world: World) -> None:
    with world.as_reader() as reader:
        views = [row[0] for row in reader.execute(
            "select table_name from information_schema.views where table_schema = 'certified'").fetchall()]  # fmt: skip
        assert {"load_files", "check_results", "publications", "certificates", "loads"} <= set(views)
        shown = "\n".join(str(reader.execute(f"select * from certified.{view}").fetchall()) for view in views)  # type: ignore[arg-type]
    assert "late.jsonl" not in shown
    assert f"turns-{FIRST}" not in shown


# -- report, page, standing checks -------------------------------------------------------------------------------------


def test_the_report_says_what_is_blocked_what_was_restated_and_what_was_refused(world: World) -> None:
    from datetime import date

    from voiceai_assets.governance.reporting import make_report

    report, paths = make_report(world.pipeline, date(2026, 8, 1), date(2026, 8, 4), with_docs=True)
    assert (report.coverage["certified_days"], report.coverage["known_days"]) == (2, 3)
    assert report.coverage["silent_days"] == ["2026-08-04"]
    assert [day["day"] for day in report.open_days] == [BAD]
    assert [(failure.day, failure.mended_at) for failure in report.failures] == [(BAD, None)]
    assert [(row["dataset"], row["records"]) for row in report.quarantine] == [("turns", 1)]
    (restated,) = report.restatements
    figures = {row["metric"]: (row["old_value"], row["new_value"]) for row in restated["figures"]}
    assert figures["completion"] == (1, 0.5)
    page = paths["html"].read_text()
    assert "1 file(s) arrived later, with 3 records" in page
    assert "asr_confidence" in page
    for path in (paths["html"], paths["json"], paths["csv"]):
        assert "late.jsonl" not in path.read_text()


def test_data_docs_show_ledgered_results_and_ask_no_other_host(world: World) -> None:
    from datetime import date

    from voiceai_assets.governance.datadocs import write_data_docs

    folder = world.settings.reports / "docs-test"
    with world.pipeline.warehouse.connect() as connection:
        pages = write_data_docs(connection, date(2026, 8, 1), date(2026, 8, 4), folder)
    written = list((folder / "validations").rglob("*.html"))
    assert len(written) == pages >= 9
    text = "\n".join(path.read_text() for path in folder.rglob("*.html"))
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']https?://", text)
    (bad,) = [path for path in written if BAD in str(path) and "turns_are_plausible" in str(path)]
    assert "asr_confidence" in bad.read_text()
    assert "Failed" in bad.read_text()


def test_standing_checks_and_report_are_assets_with_health_and_links(world: World) -> None:
    import dagster as dg

    done = world.run_unpartitioned("report_job")
    assert done.success
    (found,) = list(done.get_asset_materialization_events())
    metadata = found.materialization.metadata
    assert str(metadata["report"].value).endswith("/report.html")
    assert BAD in str(metadata["waiting"].value)
    verdicts = {e.check_name: e for e in done.get_asset_check_evaluations()}
    assert not verdicts["no_day_is_left_failed_or_stale"].passed
    assert verdicts["no_certified_day_is_without_certificate"].passed
    assert set(verdicts) == {
        "no_day_is_left_failed_or_stale",
        "no_certified_day_is_without_certificate",
        "every_certified_mart_is_governed",
    }
    job = world.definitions().resolve_job_def("daily_job")
    assert dg.AssetKey(["governance", "report"]) not in job.asset_layer.executable_asset_keys
    assert not [key for key in job.asset_layer.asset_graph.asset_check_keys if key.asset_key.path[0] == "governance"]


def test_a_published_day_whose_certificate_speaks_of_another_day_does_not_stand(world: World) -> None:
    from voiceai_assets.governance.standing import no_certified_day_is_without_certificate

    change = "update governance.certificates set day = day {} 100 where day = '{}'"
    with (
        _changed(world, change.format("+", FIRST), change.format("-", "2026-11-09")),
        world.pipeline.warehouse.connect() as connection,
    ):
        found = no_certified_day_is_without_certificate(connection)
    assert found.problems == (f"{FIRST} is published under a certificate that does not speak of it",)


def test_the_trace_page_leads_a_reader_to_the_sha256_and_never_to_a_name(world: World) -> None:
    from voiceai_assets.dashboard.app import create_app

    app = create_app(world.pipeline.warehouse.reader, "http://127.0.0.1:3000/", world.settings.reports)
    client = app.server.test_client()
    page = client.get(f"/trace?mart={FACT}&day={FIRST}").get_data(as_text=True)
    load = _traced(world, trace_number, FACT, FIRST)
    assert load["loads"][0]["files"][0]["sha256"] in page
    assert load["version"]["certificate_id"] in page
    assert load["certificate"]["chain_sha256"] in page
    assert "completion v1" in page
    assert "jsonl" not in page
    restated = client.get(f"/trace?mart={FACT}&day={SECOND}").get_data(as_text=True)
    assert "1 file(s) arrived later" in restated
    blocked = client.get(f"/trace?mart={FACT}&day={BAD}").get_data(as_text=True)
    assert "was ever published" in blocked
    assert "To do" in blocked
    by_default = client.get("/trace?mart=<script>&day=2026-13-45").get_data(as_text=True)
    assert f"certified.{FACT}, {SECOND}" in by_default
    assert "<script>" not in by_default
    outside = world.settings.home / "outside"
    outside.mkdir()
    for name in ("report.html", "secret.txt"):
        (outside / name).write_text("not for everybody")
    for address in ("%2e%2e/report.html", "..%2foutside/report.html", "%2e%2e%2foutside/report.html"):
        assert "not for everybody" not in client.get(f"/reports/{address}").get_data(as_text=True)
