"""Tombstones: what is remembered of a person who was forgotten, so that a file landed again does not bring them back.

Belongs here: keyed marks of persons and sessions, and the question whether a record bears one.
Does not belong here: where tombstones are kept (``warehouse.erasure``), what is done with a record (``lake``).

A mark is an HMAC under the pseudonym key, of the pseudonym and not of the identifier: so landing (which knows people by
name) and the tables (which know them by pseudonym) can both be asked. It is no pseudonym itself: nobody can join it to
an old export.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from voiceai_assets.privacy.pseudonyms import Pseudonymiser

PERSON, SESSION = "person", "session"

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_CELL = re.compile(r"[,;|\t\r\n]")
_WORD = re.compile(r"""[^\s,;|"'{}\[\]()<>=:]+""")
_SHORTEST_TELLING, _SHORTEST_NUMBER = 5, 8


@dataclass(frozen=True)
class Tombstones:
    """Everybody and every session that was forgotten."""

    pseudonymise: Pseudonymiser
    persons: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.persons or self.sessions)

    def __or__(self, other: Tombstones) -> Tombstones:
        return Tombstones(self.pseudonymise, self.persons | other.persons, self.sessions | other.sessions)

    @classmethod
    def of(cls, pseudonymise: Pseudonymiser, identifier: str, sessions: Iterable[str]) -> Tombstones:
        """Marks of one person and of their sessions.

        An experiment's unit may be a session, and careless emitters use the caller's number as session id. Where an id
        is telling enough that the same text cannot mean something else, it is therefore marked as both; a short one
        is not: user 7 and session 7 are two people.
        """
        sessions = set(sessions)
        people = {identifier, *filter(is_telling, sessions)}
        conversations = {*sessions, *filter(is_telling, [identifier])}
        return cls(
            pseudonymise,
            frozenset(_mark(pseudonymise, PERSON, pseudonymise(person)) for person in people),
            frozenset(_mark(pseudonymise, SESSION, session) for session in conversations),
        )

    def marks(self) -> Iterator[tuple[str, str]]:
        """Kind and mark of each, as they are stored."""
        yield from ((PERSON, mark) for mark in sorted(self.persons))
        yield from ((SESSION, mark) for mark in sorted(self.sessions))

    def has_person(self, identifier: str) -> bool:
        """Whether the person of this identifier was forgotten."""
        return self.has_pseudonym(self.pseudonymise(identifier))

    def has_pseudonym(self, pseudonym: str) -> bool:
        """The same by pseudonym."""
        return bool(self.persons) and _mark(self.pseudonymise, PERSON, pseudonym) in self.persons

    def has_session(self, session: str) -> bool:
        """Whether the session belonged to somebody who was forgotten."""
        return bool(self.sessions) and _mark(self.pseudonymise, SESSION, session) in self.sessions

    def named_in(self, text: str) -> set[str]:
        """Identifiers in a record that cannot be read as one (broken JSON, a row of another width)."""
        return {token for token in tokens(text) if self.has_person(token) or self.has_session(token)}


def _mark(pseudonymise: Pseudonymiser, kind: str, text: str) -> str:
    return hmac.digest(pseudonymise.key, f"voiceai erased {kind}\0{text}".encode(), "sha256").hex()


def is_telling(identifier: str) -> bool:
    """Whether the same text elsewhere can hardly be anything else: 7 and yes are everywhere, U1303 is not."""
    return len(identifier) >= (_SHORTEST_NUMBER if identifier.isdigit() else _SHORTEST_TELLING)


def tokens(text: str) -> set[str]:
    """Everything in a text that may be a telling identifier: quoted strings, cells, words."""
    quoted = {_unquoted(found) for found in _QUOTED.findall(text)}
    cells = {cell.strip().strip('"') for cell in _CELL.split(text)}
    return {token for token in quoted | cells | set(_WORD.findall(text)) if is_telling(token)}


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text[1:-1]
