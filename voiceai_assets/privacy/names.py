"""Names of people behind a cue: "my name is ...", "nitwa ...".

Belongs here: cues, and where a name begins and ends. Does not belong here: names without a cue (a plug-in of
``redaction``).
"""

from __future__ import annotations

import re

from voiceai_assets.privacy.spelling import SPACE, joined, words

CUE = words(
    "(?:my|his|her|their|our|your) (?:[a-z]{1,12}(?:'s)? ){0,3}names?(?:'s| is| are| was)",
    "the names?(?:'s| is| are)",
    "(?:sur|(?:last|first|middle|given|family|maiden) )names?(?:'s| is| are| was)",
    "(?:i am|i'm|he is|he's|she is|she's) called",
    "(?:they|people|you can|just) call me",
    "je m'appelle",
    "(?:il|elle) s'appelle",
    "on m'appelle",
    "je me (?:pr\u00e9)?nomme",
    "(?:mon|son|votre) (?:pr\u00e9)?nom(?: complet| de famille)? (?:est|c'est)",
    "[ny]itwa",  # Kinyarwanda: I am called, he or she is called
    "izina (?:ryan(?:jy|g)e|rye) ni",  # my name is, his or her name is
    "amazina (?:yan(?:jy|g)e|ye) ni",  # the same, names
    "(?:nina|na|ana)itwa",  # Swahili: I am called, he or she is called
    "jina (?:langu|lake) ni",
)
CUE_IF_TAIL = words("this is", "it is", "it's", "c'est", "ici")
TAIL = words("speaking", "calling", "on the (?:line|phone)", "\u00e0 l'appareil", "au t\u00e9l\u00e9phone")
CUE_IF_CAPITAL = words(
    "[Ii] am",
    "[Ii]'m",
    "(?:[Cc]all|CALL) me",
    "[Ss]peaking (?:with|to)",
    "(?:[Ss]ur|(?:[Ll]ast|[Ff]irst|[Mm]iddle|[Gg]iven|[Ff]amily|[Mm]aiden) )name",
    "[Jj]e suis",
    "[Mm]oi,? c'est",
    "[Nn]di",  # Kinyarwanda: I am
)

#: Words that end a name or show that none follows the cue. Capitalised ("Can", "Merci") they may be names after all.
NO_NAME = frozenset(
    # English
    "a about again already also am an and another are as at back be because been before being but by call called "
    "calling can correct could currently did different do does for from give had has have hello help her here hi him "
    "his how i i'd i'll i'm i've if im in incorrect is it it's its just later like looking me missing my name names "
    "need needed no not now number of ok okay on or our phone please registered required right she so something "
    "somebody someone speaking still thank thanks that the their them then there these they this to today tomorrow "
    "trying unknown us very want wanted was we what when where which who why will with would wrong yes you your "
    # French
    "appelle au aux avec bien bonjour c'est ce comment dans de des du elle en est et habite il j'ai j'habite j'appelle "
    "j'aimerais je la le les ma mais merci mes mon ne nous n'est on ou o\u00f9 par pas pour quand que qui quoi sa "
    "s'il ses son suis sur svp un une vais veux voudrais votre vous y \u00e0 "
    # Kinyarwanda
    "ariko ese gute iki kandi ku mfite mu mumfashe murakoze muri mwamfasha na nahoze nari nashaka nashakaga navutse "
    "nde ndashaka ndi ngira ni nifuza nkaba nkeneye nkomoka none nta ntuye mvuka ubu ubwo wowe "
    # Swahili
    "asante kutoka lakini nahitaji naishi nani naomba nataka natoka ninaishi ninataka tafadhali".split()
)
_PARTICLES = frozenset("al ben bin d da de der di dos du el la le van von".split())  # inside a name: Jean de Dieu
#: They belong to the name behind them, and may have a full stop.
TITLES = frozenset(
    "bwana dame docteur doctor dr eng father fr hon madam madame mademoiselle mgr miss mlle mme monsieur mr mrs ms "
    "muganga padiri pasiteri pasteur pastor prof professeur professor rev reverend sir sister sr".split()
)
FILLERS = frozenset("eh em er erm euh hmm mm spelled spelt uh uhm um".split())  # between cue and name
_NAME_WORD = re.compile("[^\\W\\d_](?:\\w|['\u2019-](?=\\w)){0,80}+")  # the bound keeps hostile input linear
_NAME_GAP = re.compile(f"[{SPACE}]{{1,3}}")
OPENING = f"{SPACE}:,\"\u201c\u00ab'\u2018\\-"
_NAME_OPENING = re.compile(f"[{OPENING}]{{1,6}}")
_TITLE_GAP = re.compile(f"\\.?[{SPACE}]{{0,3}}")
_LONGEST_NAME = 3  # words in small letters; what is longer shows itself by capitals
_LONGEST_CAPITALISED_NAME = 6
_NAME_CUE = re.compile(
    f"(?<!\\w)(?:(?P<plain>(?ai:{CUE}))|(?P<tail>(?ai:{CUE_IF_TAIL}))|(?P<capital>(?a:{CUE_IF_CAPITAL})))(?!\\w)"
)
_NAME_TAIL = re.compile(f"[{SPACE},]{{1,4}}(?ai:{TAIL})(?!\\w)")


def without_names(text: str) -> str:
    """The text with a mark in place of every name behind a cue."""
    pieces: list[str] = []
    done = 0
    for cue in _NAME_CUE.finditer(text):
        span = _name_after(text, cue.end(), capitals_only=cue["capital"] is not None) if cue.start() >= done else None
        if span and (not cue["tail"] or _NAME_TAIL.match(text, span[1])):
            pieces += [text[done : span[0]], "[NAME]"]
            done = span[1]
    return joined(pieces, text, done)


def _name_after(text: str, position: int, *, capitals_only: bool) -> tuple[int, int] | None:
    """Range of the name that begins behind a cue, after punctuation and fillers; None if the next word is no name."""
    start = end = title = None
    words, was_letter = 0, False
    gap = _NAME_OPENING.match(text, position)
    while gap and (found := _NAME_WORD.match(text, gap.end())):
        word, is_letter = found[0], found.end() - found.start() == 1
        if start is None and word.lower() in FILLERS:
            gap = _NAME_OPENING.match(text, found.end())
            continue
        if start is None and word.lower() in TITLES:
            title = found.start() if title is None else title
            gap = _TITLE_GAP.match(text, found.end())
            continue
        is_particle = start is not None and word.lower() in _PARTICLES
        if not is_particle:
            # "j a n e": behind a single letter, "a" and "i" are letters too
            is_initial = is_letter and (was_letter or (word.isupper() and text.startswith(".", found.end())))
            if not is_initial and _ends_name(word, words, capitals_only=capitals_only):
                break
            words += not is_letter
            if start is None:
                start = found.start() if title is None else title
            end = found.end()
        was_letter = is_letter
        gap = _gap_inside_name(text, found.end(), is_letter=is_letter)
    return None if start is None or end is None else (start, end)


def _ends_name(word: str, words_before: int, *, capitals_only: bool) -> bool:
    is_capitalised = word[0].isupper()
    if word.lower() in NO_NAME and not (is_capitalised and word[1:].islower()):
        return True
    if capitals_only and not (is_capitalised and word[1:2].islower()):
        return True
    return words_before >= (_LONGEST_CAPITALISED_NAME if is_capitalised else _LONGEST_NAME)


def _gap_inside_name(text: str, position: int, *, is_letter: bool) -> re.Match[str] | None:
    """A gap between two words of a name: an initial may have its full stop, a capital a comma before it."""
    behind = text[position : position + 3]
    if (behind[:1] == "." and is_letter) or (behind[:2] == ", " and behind[2:].isupper()):
        position += 1
    return _NAME_GAP.match(text, position)
