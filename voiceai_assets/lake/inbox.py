"""What lies in landing: which files there are, which of them are news, and what a day's input is called.

Belongs here: listing files, comparing them with what is known; the fingerprint of a day's input. Does not belong here:
looking into files (``indexing``), the table that remembers all this (``warehouse.ledger``).
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path, PurePosixPath

from voiceai_assets.adapters import adapter_for, tables_for
from voiceai_assets.adapters.base import is_utf8
from voiceai_assets.contracts import DATASETS
from voiceai_assets.lake import reading
from voiceai_assets.lake.companions import Companions
from voiceai_assets.lake.indexing import FileStat, IndexedFile, home_day, index_files, reader_of
from voiceai_assets.lake.naming import is_personal, personal_name, without_persons
from voiceai_assets.lake.remote import LONGEST_NAME, refused, unplaced
from voiceai_assets.privacy import redaction
from voiceai_assets.settings import SettingsError

#: Names under which tools write a file before they rename it; never read.
UNFINISHED = (".part", ".tmp", ".partial", ".crdownload", "~")
#: Time without any record, before which days count as strays if most of a folder's records come after it.
LONG_BREAK = timedelta(days=180)


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or not written to its end."""
    return name.startswith(".") or name.endswith(UNFINISHED)


def scan(landing: Path, closed: list[str] | None = None, links: list[str] | None = None) -> Iterator[FileStat]:
    """Every finished file below landing, as ``adapter/…/name``; links are not followed, hidden files are left out.

    Args:
        landing: the folder.
        closed: takes the names of folders that we may not look into, with a slash at their end, and of files and
            folders whose name is not UTF-8.
        links: takes the names of links, pipes and the like.

    Raises:
        OSError: for such a file or folder where there is no such list: what must see everything must not miss it. For
            an object of landing's store that cannot be a file or may not be read, too.
    """
    if closed is None:
        _miss_no_object(landing)
    stack = [landing]
    while stack:
        for entry in _entries(stack.pop(), landing, closed):
            name = Path(entry.path).relative_to(landing).as_posix()
            if not is_utf8(entry.name):
                _leave(name + "/" * entry.is_dir(), closed, errno.EILSEQ)
            elif entry.is_dir(follow_symlinks=False):
                stack.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                try:
                    stat = entry.stat()
                except FileNotFoundError:  # deleted since it was listed
                    continue
                except PermissionError:  # of a folder that may be listed and not entered
                    _leave(name, closed, errno.EACCES)
                    continue
                yield FileStat(name, stat.st_size, stat.st_mtime_ns)
            elif links is not None:
                links.append(name)


def _miss_no_object(landing: Path) -> None:
    if missing := unplaced(landing):
        raise OSError(errno.EEXIST, cannot_be_a_file(without_persons(missing[0])))
    if withheld := refused(landing):
        raise OSError(errno.EACCES, object_may_not_be_read(*next(iter(withheld.items()))))


def _entries(folder: Path, landing: Path, closed: list[str] | None) -> list[os.DirEntry[str]]:
    try:
        return [entry for entry in os.scandir(folder) if not is_left_out(entry.name)]
    except FileNotFoundError:  # deleted since it was listed
        return []
    except PermissionError:
        _leave(f"{folder.relative_to(landing).as_posix()}/", closed, errno.EACCES)
        return []


def _leave(name: str, closed: list[str] | None, number: int) -> None:
    if closed is None:
        raise OSError(number, may_not_be_read(without_persons(name)))
    closed.append(name)


@dataclass(frozen=True)
class Aside:
    """What lies in landing and is not even looked into.

    Attributes:
        closed: files and folders that nobody lets us read, or that have a name which nobody can write down.
        personal: files with somebody's number or address in their name.
        unplaced: objects of landing's store that cannot be files here.
        refused: objects of landing's store that it does not let us read, with its words; what was read of one before
            stays in landing.
        links: links and the like, which nobody follows.
    """

    closed: Sequence[str] = ()
    personal: Sequence[str] = ()
    unplaced: Sequence[str] = ()
    links: Sequence[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def said(self) -> list[str]:
        """What each of them waits for, in words, without the numbers and addresses in the names."""
        kinds = (
            (may_not_be_read, self.closed),
            (personal_name, self.personal),
            (cannot_be_a_file, self.unplaced),
            (lambda name: f"{name}: a link or the like, which is not followed; put the file itself here", self.links),
        )
        said = {words(without_persons(name)) for words, names in kinds for name in names}
        return sorted(said.union(itertools.starmap(object_may_not_be_read, self.refused.items())))


def listed(landing: Path) -> tuple[dict[str, FileStat], Aside]:
    """The files of landing that can be read, by their paths, and what is left aside."""
    closed: list[str] = []
    links: list[str] = []
    found = {stat.path: stat for stat in scan(landing, closed, links)}
    personal = [path for path in found if is_personal(path)]
    closed += [path for path in found if not _may_read(landing / path)]
    aside = {*closed, *personal}
    present = {path: stat for path, stat in found.items() if path not in aside}
    return present, Aside(closed, personal, unplaced(landing), links, refused(landing))


def left_aside(landing: Path) -> list[str]:
    """What to say of each file and folder below landing that waits for another name or for leave to read it."""
    return listed(landing)[1].said


def unread(present: Mapping[str, FileStat], known: Mapping[str, IndexedFile]) -> list[FileStat]:
    """Files that came or changed since they were last looked into."""
    return sorted(stat for path, stat in present.items() if path not in known or known[path].stat != stat)


def _has_own_days(path: str) -> bool:
    return any(table.contract.time_field and not table.day_of for table in tables_for(path))


def is_list(path: str) -> bool:
    """Whether no record of the file can have a day, of its own or of another file."""
    tables = tables_for(path)
    return bool(tables) and not any(table.contract.time_field or table.day_of for table in tables)


def _lists_elsewhere(files: Mapping[str, IndexedFile]) -> dict[str, IndexedFile]:
    """Lists whose day is another by now: the first that the files beside them hold, strays aside.

    It is taken from what is known of those files, so nothing is read again, and the order they came in does not matter.
    """
    lists = [file for file in files.values() if file.problem is None and is_list(file.path)]
    firsts = _first_days(files.values()) if lists else {}
    moved = {}
    for file in lists:
        first = firsts.get(PurePosixPath(file.path).parent)
        home = home_day(file.stat, {first: 1} if first else {})
        if home != file.home_day:
            moved[file.path] = replace(file, home_day=home, rows=_all_on(home, file.rows))
    return moved


def _first_days(files: Iterable[IndexedFile]) -> dict[PurePosixPath, str]:
    """Folder -> first day of the files in it whose records say their own day; a stray day is none."""
    found: dict[PurePosixPath, Counter[str]] = {}
    for file in files:
        if file.problem is None and _has_own_days(file.path):
            records = found.setdefault(PurePosixPath(file.path).parent, Counter())
            for by_day in file.rows.values():
                records.update(by_day)
    return {folder: _first_without_strays(records) for folder, records in found.items() if records}


def _first_without_strays(records: Mapping[str, int]) -> str:
    """First of the days that no long break parts from the day of the middle record.

    The first of all would be that of a clock that began at 1970, or of a year that was mistyped: a list would lie far
    from every session, outside the partitions or at a new start of them. Not the day of most records either: the
    partitions may start with the list, and the days before would not be run.
    """
    total = sum(records.values())
    first, previous, passed = "", None, 0
    for day in sorted(records):
        this = date.fromisoformat(day)
        if previous is None or this - previous > LONG_BREAK:
            first = day
        previous, passed = this, passed + records[day]
        if 2 * passed > total:
            break
    return first


def _all_on(day: str, rows: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {dataset: {day: sum(by_day.values())} if by_day else {} for dataset, by_day in rows.items()}


def refresh(
    landing: Path,
    known: Mapping[str, IndexedFile],
    *,
    timezone: str,
    quiet_seconds: float,
    limit_bytes: int | None = None,
) -> Refresh:
    """Compare landing with what is known and look into what is new.

    A file that is younger than the quiet period is left for the next time, and so is one that we may not read: it
    holds up no other, and what is known of it stays. A file with somebody's number in its name is not there until it is
    renamed. With ``limit_bytes`` the work stops after about so many bytes (a sensor's tick is short) and the rest is
    left for the next time, too.

    Raises:
        SettingsError: when not even a folder is left in landing. Whoever deletes files leaves their folders; a volume
            that is not mounted leaves nothing, and every day would be emptied and withdrawn.
    """
    if known and not (landing.is_dir() and any(landing.iterdir())):
        raise SettingsError(
            f"{landing} is empty, and {len(known):,} file(s) were in it: is its volume mounted? If they were deleted "
            "on purpose, make a folder in it, such as canonical"
        )
    now = time.time()
    present, aside = listed(landing)
    closed = set(aside.closed)
    folders = tuple(path for path in closed if path.endswith("/"))
    gone = [path for path in known if path not in present and path not in closed and not path.startswith(folders)]
    companions = Companions(landing)
    new = [
        stat for stat in sorted(present.values()) if _is_news(stat, known, companions.of(stat.path), present, timezone)
    ]
    new.sort(key=lambda stat: is_list(stat.path))  # lists last: their day is that of the files beside them
    unreadable = {*closed, *aside.personal, *aside.refused}
    quiet = [
        stat for stat in new if stat.is_quiet(now, quiet_seconds) and unreadable.isdisjoint(companions.of(stat.path))
    ]
    before = itertools.accumulate((stat.size_bytes for stat in quiet), initial=0)
    now_read = [stat for stat, done in zip(quiet, before, strict=False) if limit_bytes is None or done < limit_bytes]
    looked_at = _index_what_stays(landing, now_read, timezone)
    fresh = {file.path: _on_days_it_had(file, known.get(file.path)) for file in looked_at}
    if fresh or gone:
        fresh |= _lists_elsewhere({path: known[path] for path in known.keys() - set(gone)} | fresh)
    return Refresh(
        fresh=sorted(fresh.values(), key=lambda file: file.path),
        gone=gone,
        waiting=[stat.path for stat in new if not stat.is_quiet(now, quiet_seconds)],
        left_aside=aside.said,
    )


def _on_days_it_had(file: IndexedFile, before: IndexedFile | None) -> IndexedFile:
    """A file that cannot be read any more is the trouble of every day that it fed, and not of the day it arrived alone.

    Without it those days would be certified with the records that other files have of them.
    """
    if file.problem is None or before is None:
        return file
    home = [before.home_day] if before.home_day else []
    had = {dataset: dict.fromkeys([*by_day, *home], 0) for dataset, by_day in before.rows.items()}
    return replace(file, rows={dataset: {**had.get(dataset, {}), **by_day} for dataset, by_day in file.rows.items()})


def _may_read(path: Path) -> bool:
    return not path.exists() or os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids)


def _index_what_stays(landing: Path, stats: Sequence[FileStat], timezone: str) -> list[IndexedFile]:
    """Files that were deleted after landing was listed are none: the next look finds them gone."""
    while True:
        try:
            return index_files(landing, stats, timezone)
        except FileNotFoundError:
            there = [stat for stat in stats if (landing / stat.path).exists()]
            if len(there) == len(stats):
                raise
            stats = there


def _is_news(
    stat: FileStat,
    known: Mapping[str, IndexedFile],
    companions: Collection[str],
    present: Mapping[str, FileStat],
    timezone: str,
) -> bool:
    """Whether the file, who reads it, or one that its rows' days depend on, differs from what is known."""
    before = known.get(stat.path)
    if before is None or before.stat != stat or before.read_by != reader_of(stat.path, timezone):
        return True
    return set(companions) != set(before.companions) or any(
        path not in known or known[path].stat != present.get(path) for path in companions
    )


@dataclass(frozen=True)
class Refresh:
    """What changed in landing since it was last looked at.

    Attributes:
        fresh: files that are new or changed, as they are now, and lists whose day is another now.
        gone: files that are no longer there.
        waiting: files that may still be being written.
        left_aside: what is not even looked into, and what to do, in words.
    """

    fresh: list[IndexedFile]
    gone: list[str]
    waiting: list[str]
    left_aside: list[str]

    @property
    def home_days(self) -> list[str]:
        """The days of the files that somebody reads, one for each."""
        return [file.home_day for file in self.fresh if file.home_day]

    def problems(self) -> list[str]:
        """What lies in landing and is not read, and why, in words."""
        unread = [f"{file.path}: {file.problem}" for file in self.fresh if file.problem]
        return unread + self.left_aside


def may_not_be_read(name: str) -> str:
    """What to say of a file or folder of landing that is closed to us, and what to do."""
    if is_utf8(name):
        return f"{name}: permission denied; let the user that runs the platform read it"
    return f"{os.fsencode(name).decode(errors='backslashreplace')}: its name is not UTF-8; rename it"


def cannot_be_a_file(name: str) -> str:
    """What to say of an object of landing's store that no local file can be, and what to do."""
    return (
        f"{name}: an object that cannot be a file here: others have its name as their folder, or a part of the name is "
        f"empty, dots alone or longer than {LONGEST_NAME} bytes; rename it"
    )


def object_may_not_be_read(name: str, why: str) -> str:
    """What to say of an object that landing's store lists and does not let us read, and what to do; nobody is named."""
    return (
        f"{without_persons(name)}: an object that its store does not let us read ({without_persons(why)}); let the "
        "platform's credentials read and decrypt it, restore it from its archive, or delete it"
    )


def files_by_day(files: Iterable[IndexedFile]) -> dict[str, list[IndexedFile]]:
    """Day -> the files that hold something of it; asked of each file once, because there may be ten thousand."""
    found: dict[str, list[IndexedFile]] = {}
    for file in files:
        for day in file.days:
            found.setdefault(day, []).append(file)
    return found


def input_fingerprint(dataset: str, files: Iterable[IndexedFile], *, timezone: str, key_id: str) -> str:
    """Name of a dataset's input on a day: the load id of the rows it will produce.

    Covers everything that decides the rows: content and name of the files and of those their days depend on, readers,
    contract, adapters, redaction, zone, first pseudonym key (rotation renames people and changes no load).
    """
    files = list(files)
    parts = sorted([f.path, f.sha256, f.adapter, f.problem, sorted(f.companions.items())] for f in files)
    versions = sorted({adapter.version for f in files if (adapter := adapter_for(f.adapter))})
    rules = [reading.VERSION, DATASETS[dataset].version, redaction.version()]
    text = json.dumps([dataset, parts, versions, rules, timezone, key_id])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
