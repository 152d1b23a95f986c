"""Names of files: which are somebody's, and under which other name such a file lands."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from voiceai_assets.lake.naming import is_personal, landing_name, without_persons
from voiceai_assets.privacy.pseudonyms import Pseudonymiser

KEY = Pseudonymiser(b"k" * 32)

PERSONAL = [
    ("canonical/call-0788123456-1.jsonl", "canonical/call-[PHONE]-1.jsonl"),
    ("canonical/0788123456.jsonl.gz", "canonical/[PHONE].jsonl.gz"),
    ("canonical/+250 788 123 456.csv", "canonical/[PHONE].csv"),
    ("canonical/call_250788123456_2026-08-01.jsonl", "canonical/call_[PHONE]_2026-08-01.jsonl"),
    ("canonical/2026-08-01-0788123456.jsonl", "canonical/2026-08-01-[PHONE].jsonl"),
    ("canonical/0788123456-20260801-103000.jsonl", "canonical/[PHONE]-20260801-103000.jsonl"),
    ("canonical/0788-123-456.jsonl", "canonical/[PHONE].jsonl"),
    ("canonical/rec0788123456.parquet", "canonical/rec[PHONE].parquet"),
    ("canonical/4111-1111-1111-1111.jsonl", "canonical/[CARD].jsonl"),
    ("canonical/jane.doe@example.org.jsonl", "canonical/[EMAIL].jsonl"),
    ("canonical/0788123456/turns.jsonl", "canonical/[PHONE]/turns.jsonl"),
]


@pytest.mark.parametrize(("path", "shown"), PERSONAL)
def test_a_name_with_somebodys_number_or_address_is_personal(path: str, shown: str) -> None:
    assert is_personal(path)
    assert without_persons(path) == shown
    landed = landing_name(path, KEY)
    assert not is_personal(landed)
    assert landed == landing_name(path, KEY)
    assert landed.split(".", 1)[1:] == shown.split(".", 1)[1:]


def test_two_names_land_as_two_files() -> None:
    assert landing_name("a-0788123456.jsonl", KEY) != landing_name("a-0788123457.jsonl", KEY)


@pytest.mark.parametrize(
    "path",
    [
        "canonical/turns-2026-08-01.jsonl",
        "bakame/user_sessions_20260801.csv",
        "bakame/user_sessions_20260801103000.csv",
        "converza/3f2504e0-4f89-11d3-9a0c-0305e82c3301.json",
        "converza/78812345-4f89-11d3-9a0c-078812345678.json",
        "converza/CA0788123456ab0788123456cd078812ef.json",
        "events/events_1722499200.jsonl",
        "events/events-1722499200123-0001.jsonl",
        "events/experiments_2026-08.jsonl",
        "canonical/part-00000-of-00128.parquet",
        "canonical/month/",
        "canonical/batch-12345678.jsonl",
        "irembo/voice_turns.csv.zst",
    ],
)
def test_a_name_with_a_date_a_time_or_an_id_is_not(path: str) -> None:
    assert without_persons(path) == path
    assert landing_name(path, KEY) == path


def test_no_moment_of_ten_years_is_taken_for_a_number_to_call_or_a_card() -> None:
    draw = random.Random(5)
    formats = ["%Y-%m-%d", "%Y%m%d", "%d%m%Y", "%Y%m%d%H%M%S", "%Y%m%d-%H%M%S", "%Y-%m-%dT%H-%M-%SZ", "%Y_%m_%d_%H_%M"]
    for _ in range(2000):
        moment = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(milliseconds=draw.randrange(10 * 365 * 86_400_000))
        seconds = moment.timestamp()
        names = [moment.strftime(one) for one in formats] + [f"{seconds * unit:.0f}" for unit in (1, 1e3, 1e6, 1e9)]
        assert [name for name in names if is_personal(f"canonical/turns-{name}-3.jsonl")] == []
