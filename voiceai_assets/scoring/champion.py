"""The champion in memory, exchanged while requests are being answered.

Belongs here: when to look, and how to change over. Does not belong here: HTTP, the registry's files.

A request takes the version once and keeps it, so an exchange never mixes two versions in one answer and drops nothing:
the old version goes when the last request that holds it is done.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from voiceai_assets.models.abandonment.registry import ModelVersion, Registry, RegistryError

LOOK_EVERY_SECONDS = 1.0
_log = logging.getLogger(__name__)


class NoChampionError(RuntimeError):
    """There is nothing to score with."""


@dataclass
class Champion:
    """The version that scores now. ``follow`` looks for another one in a thread until ``stop``."""

    registry: Registry
    every_seconds: float = LOOK_EVERY_SECONDS
    _current: ModelVersion | None = None
    _stopped: threading.Event = field(default_factory=threading.Event)

    def current(self) -> ModelVersion:
        """The version to answer with.

        Raises:
            NoChampionError: when none was ever promoted.
        """
        found = self._current
        if found is None:
            raise NoChampionError("no version is the champion; `voiceai train`, then `voiceai models list` says why")
        return found

    def look(self) -> None:
        """Exchange the version if the pointer moved; a champion that cannot be loaded leaves the old one in place."""
        try:
            named = self.registry.champion()
            if named is None or (self._current and self._current.version == named):
                return
            self._current = self.registry.load(named)
            _log.info("scoring with version %s", named)
        except (RegistryError, OSError) as error:
            _log.error("the champion cannot be loaded, the version before goes on: %s", error)

    def follow(self) -> threading.Thread:
        """Look again and again, outside the requests: loading takes a tenth of a second that no caller should wait."""
        self.look()
        thread = threading.Thread(target=self._follow, name="champion", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()

    def _follow(self) -> None:
        while not self._stopped.wait(self.every_seconds):
            self.look()
