"""Keys of records that name a person: ``user_id``, ``customerName``, ``customer.phone``, ``phone_2``, ``callers``.

Belongs here: which keys. Does not belong here: what becomes of their values (``records``), the keys that adapters map
to a contract's fields (``adapters``).
"""

from __future__ import annotations

import functools
import re
import unicodedata

#: These alone; a ``module_name`` is nobody's.
_WHOLE = "amazina ani customer dob izina jina mail majina name names nid nom prenom simu tel user"
#: These, also at the end of a longer key.
_ENDS = (
    "userid username phone phoneno phonenumber unitid msisdn caller callerid callername callernumber callee mobile "
    "mobilenumber telephone telefone whatsapp email emailaddress firstname lastname middlename fullname surname "
    "givenname familyname nationalid idnumber passport passportnumber customerid customername clientid clientname "
    "subscriberid customernumber customerphone clientnumber subscriber imsi imei birthdate dateofbirth"
)
#: A mark is no part of a key ([PHONE] names no person), and neither is a number: ``phone_2``, ``phoneNumber1``.
_NO_LETTER = re.compile(r"\[[A-Z_]{2,40}\]|[^A-Za-z]")
_LONGEST_KEY = 60  # characters, of those that are remembered
_IS_WHOLE, _IS_END = frozenset(_WHOLE.split()), tuple(_ENDS.split())


def names_person(key: str) -> bool:
    """Whether the value of a key that is already redacted says who somebody is, however the key is spelled."""
    return any(_names(key))


def counts_people(key: str) -> bool:
    """Whether a bare number under a key that names people is how many they are: ``"callers": 12``."""
    one, several = _names(key)
    return several and not one


def _names(key: str) -> tuple[bool, bool]:
    """Whether a key names one person, and whether several; remembered, for the same keys come in every record."""
    return _looked_up(key) if len(key) <= _LONGEST_KEY else _look_at(key)


def _look_at(key: str) -> tuple[bool, bool]:
    # an accent is a character of its own then
    letters = _NO_LETTER.sub("", unicodedata.normalize("NFKD", key)).lower()
    return _names_one(letters), _names_several(letters)


_looked_up = functools.lru_cache(10_000)(_look_at)


def _names_one(letters: str) -> bool:
    return letters in _IS_WHOLE or letters.endswith(_IS_END)


def _names_several(letters: str) -> bool:
    return _names_one(letters.removesuffix("s")) or _names_one(letters.removesuffix("es"))


def _spelled(words: str) -> str:
    """Alternatives for RE2 with anything but letters between their letters, and marks."""
    return "|".join(_BETWEEN.join(word) for word in words.split())


_BETWEEN = r"(?:(?-i:\[[A-Z_]+\]|[^A-Za-z]))*"
_PLURAL = f"(?:e?{_BETWEEN}s)?"
_WITH_ACCENTS = r"(?:[^\x00-\x7f]|\\u[0-9a-f]{4})[^\"]*"  # seldom: whatever else the key says
#: For RE2: a member of a document whose key names a person, or one that is spelled nearly so.
PERSON_MEMBER = (
    f'(?:(?:"{_BETWEEN}(?:{_spelled(_WHOLE)})|{_spelled(_ENDS)}){_BETWEEN}{_PLURAL}{_BETWEEN}|{_WITH_ACCENTS})"\\s*:'
)
