"""Keyed pseudonyms: HMAC-SHA256 (RFC 2104) under a key that never enters the database.

An unsalted hash of a phone number falls to enumeration in under an hour; a keyed one does not.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from voiceai_assets.settings import Settings

KEY_FILE = "pseudonym.key"
MINIMUM_KEY_BYTES = 16
PSEUDONYM_HEX_DIGITS = 32  # 128 bits: no collision among any realistic number of callers


@dataclass(frozen=True)
class Pseudonymiser:
    """Turns identifiers into pseudonyms under one key."""

    key: bytes

    @property
    def key_id(self) -> str:
        """Public name of the key: enough to tell two keys apart, useless for reversing a pseudonym."""
        return hmac.digest(self.key, b"voiceai key id", "sha256").hex()[:12]

    def __call__(self, identifier: str) -> str:
        """Pseudonym of one identifier: 32 hexadecimal digits, the same for the same key and identifier."""
        return hmac.digest(self.key, identifier.encode(), "sha256").hex()[:PSEUDONYM_HEX_DIGITS]

    def mapping(self, identifiers: Iterable[str]) -> dict[str, str]:
        """Pseudonym of each identifier."""
        return {identifier: self(identifier) for identifier in identifiers}


def load_pseudonymiser(settings: Settings) -> Pseudonymiser:
    """The configured key, or one generated once in HOME and readable by its owner only.

    Raises:
        ValueError: for a configured key too short to resist enumeration.
    """
    if settings.pseudonym_key is not None:
        key = settings.pseudonym_key.get_secret_value().encode()
        if len(key) < MINIMUM_KEY_BYTES:
            raise ValueError(f"VOICEAI_PSEUDONYM_KEY needs at least {MINIMUM_KEY_BYTES} characters")
        return Pseudonymiser(hashlib.sha256(key).digest())
    return Pseudonymiser(_key_file(settings.home / KEY_FILE))


def _key_file(path: Path) -> bytes:
    """Read the key, making it first if need be.

    It is written aside and linked into place: two processes starting together agree on one key, and no reader
    ever sees half of it.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(handle, secrets.token_hex(32).encode())
        os.close(handle)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return bytes.fromhex(path.read_text().strip())
