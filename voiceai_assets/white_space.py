r"""White space, written out: RE2, Python and DuckDB each mean something else by ``\s``, ``strip`` and ``trim``.

Telephone systems and word processors write no-break spaces: a mark that is missed behind one puts the customer's words
into the agent's mouth, and a user id with one behind it would be another person's.
"""

WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
