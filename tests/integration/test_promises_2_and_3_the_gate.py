"""Promises 2 and 3: a stale pass never certifies new data; a missing or impossible check never passes."""

from __future__ import annotations

from tests.integration.world import World, session
from voiceai_assets.checks.suites import all_suites

DAY = "2026-08-01"


def _certify_a_good_day(world: World) -> None:
    world.land("turns-2026-08-01.jsonl", session("a", f"{DAY}T10:00"))
    assert world.run(DAY).success
    assert world.certified() == {DAY: 1}


def test_a_reload_after_a_pass_is_not_certified_by_the_old_pass(world: World) -> None:
    _certify_a_good_day(world)
    before = world.query("select body from governance.certificates")
    world.land("turns-2026-08-01.jsonl", session("a", f"{DAY}T10:00", asr_confidence=-3.0))
    # only the load runs again: every check of the old load stands in the ledger as passed
    list(world.pipeline.refine([DAY]))
    world.pipeline.load(DAY)
    result = world.run(DAY, job="publish_job")
    assert not result.success
    assert world.status(DAY) != "certified"
    assert world.query("select body from governance.certificates") == before
    # and once the checks have looked at the new load, the day is out of sight
    assert not world.run(DAY).success
    assert world.certified() == {}


def test_results_are_kept_for_each_load(world: World) -> None:
    _certify_a_good_day(world)
    world.land("turns-2026-08-01.jsonl", session("a", f"{DAY}T10:00", asr_confidence=-3.0))
    world.run(DAY)
    rule = "turns_are_plausible.asr_confidence_is_a_probability"
    found = world.query(
        "select status, load_id from governance.quality_results where check_name = %s and day = %s", rule, DAY
    )
    assert sorted(row["status"] for row in found) == ["failed", "passed"]
    assert len({row["load_id"] for row in found}) == 2


def test_a_missing_result_blocks(world: World) -> None:
    _certify_a_good_day(world)
    world.unpublish()
    world.query("delete from governance.quality_results where check_name like 'sessions_are_sound.%%' returning 1")
    assert not world.run(DAY, job="publish_job").success
    assert world.certified() == {}
    assert {reason["kind"] for reason in world.reasons(DAY)} == {"missing"}


def test_results_of_an_older_version_of_a_suite_do_not_count(world: World) -> None:
    _certify_a_good_day(world)
    world.unpublish()
    world.query("update governance.quality_results set suite_version = 'older' returning 1")
    assert not world.run(DAY, job="publish_job").success
    assert world.certified() == {}


def test_could_not_check_is_neither_bad_data_nor_passed(world: World) -> None:
    """A rule on a column that does not exist raises in Great Expectations, which reports success = False."""
    from dataclasses import replace

    _certify_a_good_day(world)
    suite = next(s for s in all_suites() if s.suite == "turns_are_plausible")
    rule = replace(suite.rules[0], kwargs={**suite.rules[0].kwargs, "column": "no_such_column"})
    broken = replace(suite, rules=(rule, *suite.rules[1:]))
    results = world.pipeline.judge([broken], [DAY], _validator(world), "test")[DAY]["turns_are_plausible"]
    assert results[0].status == "error"
    assert "no_such_column" in results[0].observed["message"]
    assert {r.status for r in results[1:]} == {"passed"}
    assert world.status(DAY) == "blocked"
    assert world.reasons(DAY)[0]["kind"] == "error"
    assert "could not check" in world.reasons(DAY)[0]["text"]
    # what was certified stays visible: nobody has found anything wrong with it
    assert world.certified() == {DAY: 1}
    assert not world.run(DAY, job="publish_job").success


def test_a_warning_certifies_and_stays_attached(world: World) -> None:
    rows = session("a", f"{DAY}T10:00")
    rows[0]["user_type"] = "regular"
    world.land("turns-2026-08-01.jsonl", rows)
    assert world.run(DAY).success
    assert world.status(DAY) == "certified with warnings"
    assert [reason["check"] for reason in world.reasons(DAY)] == ["turns_are_plausible.user_type_is_known"]


def _validator(world: World):  # type: ignore[no-untyped-def]
    from voiceai_assets.checks.expectations import Validator

    return Validator(world.pipeline.warehouse.owner)
