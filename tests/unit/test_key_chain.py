"""A chain of pseudonym keys: rotation renames everybody, mixes nobody up, and forgets nobody who was forgotten."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from voiceai_assets.privacy.pseudonyms import (
    LATER_KEYS_FILE,
    PENDING_KEY_FILE,
    Pseudonymiser,
    add_link,
    begin_rotation,
    end_rotation,
    load_pseudonymiser,
    pending_key,
    rekeyed,
)
from voiceai_assets.privacy.tombstones import Tombstones, rekeyed_mark
from voiceai_assets.settings import Settings

FIRST, SECOND, THIRD = b"1" * 32, b"2" * 32, b"3" * 32
BEFORE, AFTER = Pseudonymiser(FIRST), Pseudonymiser(FIRST, (SECOND,))
PHONES = [f"+25078812{n:04}" for n in range(500)]


def test_a_stored_pseudonym_becomes_what_the_identifier_gives_now() -> None:
    assert [rekeyed(BEFORE(phone), SECOND) for phone in PHONES] == [AFTER(phone) for phone in PHONES]
    assert len({AFTER(phone) for phone in PHONES} | {BEFORE(phone) for phone in PHONES}) == 1000
    assert AFTER.generations("x") == [BEFORE("x"), AFTER("x")]


def test_no_single_key_gives_a_present_pseudonym() -> None:
    present = {AFTER(phone) for phone in PHONES}
    for key in (FIRST, SECOND):
        assert not present & {Pseudonymiser(key)(phone) for phone in PHONES}


def test_the_newest_key_has_the_name_and_the_first_one_the_lineage() -> None:
    assert AFTER.lineage == BEFORE.lineage == BEFORE.key_id
    assert AFTER.key_id == Pseudonymiser(SECOND).key_id
    assert len({BEFORE.key_id, AFTER.key_id, Pseudonymiser(FIRST, (SECOND, THIRD)).key_id}) == 3


def carried_over(marks: Tombstones, now: Pseudonymiser) -> Tombstones:
    """As the tables do it."""
    key = now.keys[-1]
    return Tombstones(
        now,
        frozenset(rekeyed_mark(mark, key) for mark in marks.persons),
        frozenset(rekeyed_mark(mark, key) for mark in marks.sessions),
    )


def test_the_forgotten_stay_forgotten_after_any_number_of_rotations() -> None:
    marks = Tombstones.of(BEFORE, "U1303", ["session-9001"])
    marks = carried_over(marks, AFTER) | Tombstones.of(AFTER, "U1304", ["session-9002"])
    marks = carried_over(marks, Pseudonymiser(FIRST, (SECOND, THIRD)))
    for person, session in (("U1303", "session-9001"), ("U1304", "session-9002")):
        assert marks.has_person(person)
        assert marks.has_session(session)
    assert not marks.has_person("U1305")
    assert not marks.has_session("session-9003")
    assert not marks.has_pseudonym(marks.pseudonymise("U1303")), "by pseudonym only who was forgotten since"


@pytest.mark.parametrize("environment", [None, "correct horse battery"])
def test_key_files_are_their_owners_alone_and_links_are_added_once(tmp_path: Path, environment: str | None) -> None:
    settings = Settings(home=tmp_path, pseudonym_key=environment)  # type: ignore[arg-type]
    before = load_pseudonymiser(settings)
    key = begin_rotation(settings)
    assert begin_rotation(settings) == key == pending_key(settings), "what was begun goes on"
    assert load_pseudonymiser(settings) == before, "a pending key changes nothing"
    assert stat.S_IMODE((tmp_path / PENDING_KEY_FILE).stat().st_mode) == 0o600
    for _ in range(2):
        add_link(settings, key)
    end_rotation(settings)
    end_rotation(settings)
    assert pending_key(settings) is None
    assert stat.S_IMODE((tmp_path / LATER_KEYS_FILE).stat().st_mode) == 0o600
    after = load_pseudonymiser(settings)
    assert after.keys == (*before.keys, key)
    assert begin_rotation(settings) != key
