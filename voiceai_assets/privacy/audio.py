"""Sound that was written into a text: data URIs, and base64 that begins like a file of sound or film.

Belongs here: what is taken for sound. Does not belong here: samples without a container, which nothing tells from any
other base64.
"""

from __future__ import annotations

import re

_BASE64 = "[A-Za-z0-9+/_%-]"  # also as in addresses, and as MIME and URLs escape it
#: RIFF, ID3, OggS, fLaC, ....ftyp (MP4, M4A), #!AMR, EBML (WebM), caff, FORM (AIFF), .snd, MThd
_CONTAINERS = "UklGR|SUQz|T2dnUw|ZkxhQ|AAAA..Z0eXB|IyFBTVI|GkXfo|Y2FmZ|Rk9STQ|LnNuZ"
_FRAMES = "//[E-Pk-v]|__[E-Pk-v]"  # of MP3 and AAC without a header; so short a beginning needs more behind it
_URI = "data:(?:audio|video)/"
_START = f"(?:{_CONTAINERS}){_BASE64}{{60}}|(?:{_FRAMES}){_BASE64}{{240}}"
#: For RE2 as well.
AUDIO = f"(?:{_URI}|(?-i:{_START}))"
_LINES = f"(?:\\r?\\n{_BASE64}{{40,}}+)*+(?:\\r?\\n{_BASE64}++(?==))?+={{0,2}}"
_AUDIO = re.compile(
    f"(?i:{_URI})[^\\s,\"'<>]{{0,200}}+(?:,{_BASE64}*+{_LINES})?+|(?<!{_BASE64})(?:{_START}){_BASE64}*+{_LINES}"
)


def without_audio(text: str) -> str:
    """The text with a mark in place of every piece of sound."""
    return _AUDIO.sub("[AUDIO]", text)
