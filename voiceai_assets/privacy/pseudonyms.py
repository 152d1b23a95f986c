"""Keyed pseudonyms: HMAC-SHA256 (RFC 2104) under a key that never enters the database.

An unsalted hash of a phone number falls to enumeration in under an hour; a keyed one does not.

Keys form a chain. Rotation (``voiceai_assets.rotation``) adds a link: the new pseudonym is the HMAC of the old one
under the new key. So every stored pseudonym can be carried over, also where the files it came from are gone, and who
holds an old key alone can compute no pseudonym of today. Hence the older keys stay in the chain, although nothing is
stored under them any more.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voiceai_assets.settings import Settings

KEY_FILE = "pseudonym.key"
LATER_KEYS_FILE = "pseudonym.key.later"  # what rotation added; also where the first key comes from the environment
PENDING_KEY_FILE = "pseudonym.key.pending"
MINIMUM_KEY_BYTES = 16
PSEUDONYM_HEX_DIGITS = 32  # 128 bits: no collision among any realistic number of callers


@dataclass(frozen=True)
class Pseudonymiser:
    """Turns identifiers into pseudonyms under a chain of keys.

    Attributes:
        key: the first key.
        later: the keys that rotation added, oldest first.
    """

    key: bytes
    later: tuple[bytes, ...] = ()

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The whole chain, oldest first."""
        return (self.key, *self.later)

    @functools.cached_property
    def key_id(self) -> str:
        """Public name of the newest key: tells two keys apart, useless for reversing a pseudonym."""
        return key_id(self.keys[-1])

    @functools.cached_property
    def lineage(self) -> str:
        """Name of the first key, which rotation does not change: whose pseudonyms can be carried over into ours."""
        return key_id(self.key)

    def __call__(self, identifier: str) -> str:
        """Pseudonym of one identifier: 32 hexadecimal digits, the same for the same keys and identifier."""
        return self.generations(identifier)[-1]

    def generations(self, identifier: str) -> list[str]:
        """The pseudonym that an identifier had under each key of the chain, the present one last."""
        found: list[str] = []
        for key in self.keys:
            found.append(rekeyed(found[-1] if found else identifier, key))
        return found

    def mapping(self, identifiers: Iterable[str]) -> dict[str, str]:
        """Pseudonym of each identifier."""
        return {identifier: self(identifier) for identifier in identifiers}


def key_id(key: bytes) -> str:
    """Public name of a key."""
    return hmac.digest(key, b"voiceai key id", "sha256").hex()[:12]


def rekeyed(pseudonym: str, key: bytes) -> str:
    """The next pseudonym of whoever had this one (or this identifier, under the first key)."""
    return hmac.digest(key, pseudonym.encode(), "sha256").hex()[:PSEUDONYM_HEX_DIGITS]


def load_pseudonymiser(settings: Settings) -> Pseudonymiser:
    """The configured key, or one generated once in HOME and readable by its owner only.

    Raises:
        ValueError: for a configured key too short to resist enumeration.
    """
    later = tuple(bytes.fromhex(line) for line in _lines(settings.home / LATER_KEYS_FILE))
    if settings.pseudonym_key is not None:
        key = settings.pseudonym_key.get_secret_value().encode()
        if len(key) < MINIMUM_KEY_BYTES:
            raise ValueError(f"VOICEAI_PSEUDONYM_KEY needs at least {MINIMUM_KEY_BYTES} characters")
        return Pseudonymiser(hashlib.sha256(key).digest(), later)
    return Pseudonymiser(bytes.fromhex(_made_once(settings.home / KEY_FILE)), later)


def pending_key(settings: Settings) -> bytes | None:
    """The key of a rotation that was begun and is not finished."""
    lines = _lines(settings.home / PENDING_KEY_FILE)
    return bytes.fromhex(lines[0]) if lines else None


def begin_rotation(settings: Settings) -> bytes:
    """The pending key, made now unless a rotation was begun before."""
    return bytes.fromhex(_made_once(settings.home / PENDING_KEY_FILE))


def add_link(settings: Settings, key: bytes) -> None:
    """Make a key the newest of the chain; adding it again changes nothing. Readers see the old chain or the new one."""
    path = settings.home / LATER_KEYS_FILE
    lines = _lines(path)
    if key.hex() not in lines:
        draft = _draft(path, "\n".join([*lines, key.hex()]))
        draft.replace(path)


def end_rotation(settings: Settings) -> None:
    """Nothing is pending any more."""
    (settings.home / PENDING_KEY_FILE).unlink(missing_ok=True)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except FileNotFoundError:
        return []


def _made_once(path: Path) -> str:
    """Read a key file, making it first if need be.

    It is written aside and linked into place: two processes starting together agree on one key, and no reader
    ever sees half of it.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(path, secrets.token_hex(32))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def _draft(path: Path, text: str) -> Path:
    """A file beside another one, readable by its owner only, on the disk before anything depends on it."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    return draft
