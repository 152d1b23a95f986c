"""The gate, without a database: what blocks, what certifies, what counts as a result."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceai_assets.checks.gate import Demand, Recorded, Status, decide

LOAD, SUITE = "load-1", "suite-1"


def demand(name: str = "rule", severity: str = "critical", load_id: str | None = LOAD) -> Demand:
    return Demand("raw/turns", name, severity, SUITE, load_id, f"{name} holds", f"mend {name}")


def result(name: str = "rule", status: str = "passed", load_id: str = LOAD, suite: str = SUITE) -> Recorded:
    return Recorded("raw/turns", name, load_id, suite, status)


def test_everything_passed_certifies() -> None:
    verdict = decide([demand("a"), demand("b")], [result("a"), result("b")])
    assert verdict.status is Status.CERTIFIED
    assert verdict.may_publish
    assert verdict.reasons == ()


def test_a_broken_critical_rule_blocks_and_is_bad_data() -> None:
    verdict = decide([demand("a"), demand("b")], [result("a", "failed"), result("b")])
    assert verdict.status is Status.BLOCKED
    assert verdict.is_bad_data
    assert not verdict.may_publish
    assert verdict.reasons[0].mend == "mend a"


def test_could_not_check_blocks_and_is_not_bad_data() -> None:
    verdict = decide([demand()], [result(status="error")])
    assert verdict.status is Status.BLOCKED
    assert not verdict.is_bad_data
    assert verdict.reasons[0].text.startswith("could not check")


def test_a_missing_result_does_not_publish() -> None:
    verdict = decide([demand("a"), demand("b")], [result("a")])
    assert verdict.status is Status.NOT_JUDGED
    assert not verdict.may_publish


def test_a_result_on_another_load_is_missing() -> None:
    assert not decide([demand()], [result(load_id="load-0")]).may_publish


def test_a_result_of_another_suite_version_is_missing() -> None:
    assert not decide([demand()], [result(suite="suite-0")]).may_publish


def test_a_result_on_another_asset_is_missing() -> None:
    other = Recorded("marts/fact", "rule", LOAD, SUITE, "passed")
    assert not decide([demand()], [other]).may_publish


def test_a_failure_on_an_older_load_does_not_block_the_new_one() -> None:
    assert decide([demand()], [result(status="failed", load_id="load-0"), result()]).may_publish


def test_nothing_loaded_is_not_judged_even_if_results_exist() -> None:
    assert decide([demand(load_id=None)], [result()]).status is Status.NOT_JUDGED


def test_no_demand_never_certifies() -> None:
    assert not decide([], [result()]).may_publish


@pytest.mark.parametrize("found", [[result("w", "error")], []], ids=["could not check", "missing"])
def test_a_warning_that_was_not_checked_does_not_publish(found: list[Recorded]) -> None:
    assert not decide([demand("w", "warning"), demand("c")], [*found, result("c")]).may_publish


def test_a_broken_warning_certifies_and_stays_attached() -> None:
    verdict = decide([demand("w", "warning"), demand("c")], [result("w", "failed"), result("c")])
    assert verdict.status is Status.WITH_WARNINGS
    assert verdict.may_publish
    assert [r.check for r in verdict.reasons] == ["w"]


def test_a_broken_rule_is_named_before_what_could_not_be_checked() -> None:
    found = [result("missing", load_id="other"), result("error", "error"), result("failed", "failed")]
    verdict = decide([demand("missing"), demand("error"), demand("failed")], found)
    assert [r.check for r in verdict.reasons] == ["failed", "error", "missing"]


@given(st.lists(st.sampled_from(["passed", "failed", "error", "absent"]), min_size=1, max_size=6), st.randoms())
def test_a_day_is_published_only_if_every_critical_rule_passed_on_this_load(statuses: list[str], random) -> None:  # type: ignore[no-untyped-def]
    demanded = [demand(f"r{n}") for n in range(len(statuses))]
    found = [result(f"r{n}", status) for n, status in enumerate(statuses) if status != "absent"]
    noise = [result(f"r{n}", "passed", load_id="old") for n in range(len(statuses))]
    recorded = found + noise
    random.shuffle(recorded)
    assert decide(demanded, recorded).may_publish == all(status == "passed" for status in statuses)


def test_the_order_of_results_does_not_matter() -> None:
    recorded = [result("a", "failed"), result("b"), result("a", "passed", load_id="old")]
    verdicts = {decide([demand("a"), demand("b")], order).status for order in itertools.permutations(recorded)}
    assert verdicts == {Status.BLOCKED}
