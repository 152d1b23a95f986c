"""Keys of records that name a person: ``user_id``, ``customerName``, ``customer.phone``.

Belongs here: which keys. Does not belong here: what becomes of their values (``records``), the keys that adapters map
to a contract's fields (``adapters``).
"""

from __future__ import annotations

import re

#: These alone; a ``module_name`` is nobody's.
_WHOLE = "ani dob mail name names nid nom prenom tel user"
#: These, also at the end of a longer key.
_ENDS = (
    "userid username phone phoneno phonenumber unitid msisdn caller callerid callername callernumber callee mobile "
    "mobilenumber telephone whatsapp email emailaddress firstname lastname middlename fullname surname givenname "
    "familyname nationalid idnumber passport passportnumber customerid customername clientid clientname subscriberid "
    "customernumber customerphone clientnumber subscriber imsi imei birthdate dateofbirth"
)
_NO_LETTER = re.compile(r"\[[A-Z_]{2,40}\]|[^A-Za-z0-9]")  # a mark is no part of a key: [PHONE] names no person
_IS_WHOLE, _IS_END = frozenset(_WHOLE.split()), tuple(_ENDS.split())


def names_person(key: str) -> bool:
    """Whether the value of a key that is already redacted says who somebody is, however the key is spelled."""
    letters = _NO_LETTER.sub("", key).lower()
    return letters in _IS_WHOLE or letters.endswith(_IS_END)


def _spelled(words: str) -> str:
    """Alternatives for RE2 with anything but letters and digits between their letters, and marks."""
    return "|".join(_BETWEEN.join(word) for word in words.split())


_BETWEEN = r"(?:(?-i:\[[A-Z_]+\]|[^A-Za-z0-9])|\\u00[0-9a-f]{2})*"
#: For RE2: a member of a document whose key names a person, or one that is spelled nearly so.
PERSON_MEMBER = f'(?:"{_BETWEEN}(?:{_spelled(_WHOLE)})|{_spelled(_ENDS)}){_BETWEEN}"\\s*:'
