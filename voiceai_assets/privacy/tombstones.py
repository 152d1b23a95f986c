"""Tombstones: what is remembered of a person who was forgotten, so that a file landed again does not bring them back.

Belongs here: keyed marks of persons and sessions, and the question whether a record bears one.
Does not belong here: where tombstones are kept (``warehouse.erasure``), what is done with a record (``lake``).

A mark is an HMAC under the pseudonym key, of the pseudonym and not of the identifier: so landing (which knows people by
name) and the tables (which know them by pseudonym) can both be asked. It is no pseudonym itself: nobody can join it to
an old export. Key rotation carries marks over as it does pseudonyms; a mark made under an earlier key is then known by
identifier only, which is enough: what the tables hold was searched before the rotation began.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Iterator, Sequence
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
            frozenset(_mark(pseudonymise.keys[-1:], PERSON, pseudonymise(person)) for person in people),
            frozenset(_mark(pseudonymise.keys[-1:], SESSION, session) for session in conversations),
        )

    def marks(self) -> Iterator[tuple[str, str]]:
        """Kind and mark of each, as they are stored."""
        yield from ((PERSON, mark) for mark in sorted(self.persons))
        yield from ((SESSION, mark) for mark in sorted(self.sessions))

    def has_person(self, identifier: str) -> bool:
        """Whether the person of this identifier was forgotten, under whichever key."""
        if not self.persons:
            return False
        names = self.pseudonymise.generations(identifier)
        return any(_mark(self.pseudonymise.keys[n:], PERSON, name) in self.persons for n, name in enumerate(names))

    def has_pseudonym(self, pseudonym: str) -> bool:
        """The same by pseudonym, for whoever was forgotten under the newest key."""
        return bool(self.persons) and _mark(self.pseudonymise.keys[-1:], PERSON, pseudonym) in self.persons

    def has_session(self, session: str) -> bool:
        """Whether the session belonged to somebody who was forgotten, under whichever key."""
        keys = self.pseudonymise.keys
        return bool(self.sessions) and any(_mark(keys[n:], SESSION, session) in self.sessions for n in range(len(keys)))

    def named_in(self, text: str) -> set[str]:
        """Identifiers in a record that cannot be read as one (broken JSON, a row of another width)."""
        return {token for token in tokens(text) if self.has_person(token) or self.has_session(token)}


def _mark(keys: Sequence[bytes], kind: str, text: str) -> str:
    """The mark made under the first of the keys, carried over by the others."""
    mark = hmac.digest(keys[0], f"voiceai erased {kind}\0{text}".encode(), "sha256").hex()
    for key in keys[1:]:
        mark = rekeyed_mark(mark, key)
    return mark


def rekeyed_mark(mark: str, key: bytes) -> str:
    """What key rotation makes of a mark."""
    return hmac.digest(key, f"voiceai erased again\0{mark}".encode(), "sha256").hex()


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
