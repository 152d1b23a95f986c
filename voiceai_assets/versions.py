"""Which code made something: fingerprints of the dbt project and the revision of the checkout.

Belongs here: names of versions. Does not belong here: what is done when one changed (``automation.planning``).
"""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache

from voiceai_assets.settings import REPOSITORY, Settings

DBT_PROJECT = REPOSITORY / "dbt_project"
#: Made from published days, so a change of them makes no day stale: models over days, and the words of the catalogue.
_AFTER_THE_GATE = ("models/certified/", "models/exp/", "models/exposures", "seeds/metrics.")


@cache
def mart_code_version() -> str:
    """Fingerprint of everything that decides the rows of the day marts: models, macros, seeds, project file."""
    return _dbt_fingerprint("models", "macros", "seeds", without=_AFTER_THE_GATE)


@cache
def views_code_version() -> str:
    """Fingerprint of everything that decides the views over published days; it covers the marts that they read."""
    return _dbt_fingerprint("models", "macros", "seeds")


@cache
def dbt_project_version() -> str:
    """Fingerprint of the whole dbt project, tests included: decides whether it must be parsed again."""
    return _dbt_fingerprint("models", "macros", "seeds", "tests")


def _dbt_fingerprint(*folders: str, without: tuple[str, ...] = ()) -> str:
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((DBT_PROJECT / folder).rglob("*")):
            name = path.relative_to(DBT_PROJECT).as_posix()
            if path.suffix in {".sql", ".yml", ".csv"} and not name.startswith(without):
                digest.update(name.encode())
                digest.update(path.read_bytes())
    digest.update((DBT_PROJECT / "dbt_project.yml").read_bytes())
    return digest.hexdigest()[:12]


@cache
def lock_sha256() -> str:
    """Checksum of the lock file: which packages, to the byte, the code ran with where it was installed from it."""
    try:
        return hashlib.sha256((REPOSITORY / "requirements.lock").read_bytes()).hexdigest()
    except FileNotFoundError:
        return "unknown"


def code_revision(settings: Settings) -> str:
    """Revision of the code: as told by the settings (an image holds no checkout), else the checkout's commit."""
    return settings.code_revision or _checkout_revision()


@cache
def _checkout_revision() -> str:
    """Commit of the checkout, with ``-dirty`` where files differ from it, or ``unknown`` outside one."""
    try:
        out = subprocess.run(  # noqa: S603  # fixed arguments
            ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],  # noqa: S607  # git from the PATH
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return out.stdout.strip()
