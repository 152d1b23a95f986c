"""What speech recognition makes of what was said: words lost or replaced, the more the less it trusts itself.

Belongs here: a text and a chance per word into what is heard. Does not belong here: what is said (``texts``), counting
the errors again (``voiceai_assets.transcripts.words``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voiceai_assets.synthetic.config import References
from voiceai_assets.synthetic.streams import Floats
from voiceai_assets.synthetic.texts import Said

_LOST = 0.3  # of the wrong words; the others are replaced
_NOISE = ("mm", "eh", "uh")  # words that nobody says in the world's texts, so every replacement is one error


@dataclass(frozen=True, eq=False)
class Heard:
    """Words of some turns as they were recognised, and beside them what was said, where somebody wrote that down."""

    said: Said
    reference: NDArray[np.int64]


def mishear(said: Said, asr: Floats, config: References, rng: np.random.Generator) -> Heard:
    """Replace the texts of a share of the spoken turns; the others are heard as they were said.

    Each word is wrong with the chance ``doubt`` times (1 - confidence), independently. Turns in which personal data was
    planted are never chosen: its truth says at which characters it stands.

    Args:
        said: the words.
        asr: confidence by turn; NaN where nothing was spoken.
        config: the share, and the rate.
        rng: of this block, for this purpose.
    """
    draws = rng.random(len(asr))
    chosen = (draws < config.share) & (said.user >= 0) & ~np.isnan(asr)
    chosen[[planted.row for planted in said.planted]] = False
    texts, user = list(said.user_texts), said.user.copy()
    for row in np.flatnonzero(chosen).tolist():
        words = texts[said.user[row]].split()
        wrong = rng.random(len(words)) < config.doubt * (1 - asr[row])
        if wrong.any():
            user[row] = len(texts)
            texts.append(_heard(words, wrong, rng))
    heard = Said(texts, user, said.agent_texts, said.agent, said.planted)
    return Heard(heard, np.where(chosen, said.user, -1))


def _heard(words: list[str], wrong: NDArray[np.bool_], rng: np.random.Generator) -> str:
    lost = rng.random(len(words)) < _LOST
    noise = rng.integers(len(_NOISE), size=len(words))
    kept = [_NOISE[noise[n]] if wrong[n] else word for n, word in enumerate(words) if not (wrong[n] and lost[n])]
    return " ".join(kept)
