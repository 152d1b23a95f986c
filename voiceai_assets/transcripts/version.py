"""Which rules read the transcripts: a fingerprint that changes whenever a figure could.

Belongs here: the fingerprint. Does not belong here: what becomes of it (``pipeline.mart_code_version``).
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.resources import files


@cache
def code_version() -> str:
    """Fingerprint of this package's modules, word lists included, and of the sentiment lexicon's release."""
    digest = hashlib.sha256(version("vaderSentiment").encode())
    folder = files("voiceai_assets.transcripts")
    for module in sorted((f for f in folder.iterdir() if f.name.endswith(".py")), key=lambda f: f.name):
        digest.update(module.name.encode())
        digest.update(module.read_bytes())
    return digest.hexdigest()[:12]
