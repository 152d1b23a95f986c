"""One at a time: two runs of the same day take turns, step by step.

Belongs here: who waits for whom. Does not belong here: the key's lock (``rekeying``), publishers' (``publications``).

Replacing a day empties its partitions by TRUNCATE, which a statement that began before sees as well: without taking
turns, a check or a test of one run finds the day empty that another run is about to fill again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from voiceai_assets.warehouse.server import Warehouse

_log = logging.getLogger(__name__)
_TRY = "select pg_try_advisory_lock(hashtext('voiceai day ' || %s))"
_WAIT = "select pg_advisory_lock(hashtext('voiceai day ' || %s))"


@contextmanager
def held_days(warehouse: Warehouse, days: Iterable[str]) -> Iterator[None]:
    """Keep other steps away from these days; waits for those at work, and says so. A killed process lets go."""
    with warehouse.connect(autocommit=True) as connection:
        for day in sorted(days):  # always in this order, or two ranges could wait for one another
            if connection.execute(_TRY, [day]).fetchone() != (True,):
                _log.warning("another run is at work on %s; this step waits until it is done there", day)
                connection.execute(_WAIT, [day])
        yield
