"""Landing and lake on an object store, through fsspec: a local copy kept in step, so that everything else reads files.

Belongs here: bringing a folder and a store together. Does not belong here: what the files mean. Addresses are fsspec's
(``s3://bucket/prefix``, ``gs://``, ``file://``); credentials and end points come from the store's own environment
variables (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...), never from ours.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from voiceai_assets.lake.naming import draft_name

STATE = ".remote.json"
#: Bytes that a file system takes for the name of a file or folder; a store takes 1,024 for the whole path.
LONGEST_NAME = 255
#: What stands in the way of a file that a local folder, or a file where it needs a folder, has the name of.
_IN_THE_WAY = (FileExistsError, IsADirectoryError, NotADirectoryError)
#: What the local disk says when it is full and the like; no object is to blame.
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EMFILE, errno.ENFILE}
#: In the state, instead of a tag: a local file may be there, or what is to become one.
_COMING = "coming"
#: In the state, before the tag of the local copy, if there is one, and the store's words in a second line.
_REFUSED = "refused:"
#: Objects that are fetched before the state is written again: so many come twice after a killed process, at most.
_REMEMBER_EVERY = 100
#: Other objects that are asked for a byte where one fails in a way that may be the store's own.
_WITNESSES = 3


class StoreError(OSError):
    """The object store cannot be reached or refuses; the message names the address."""


@dataclass(frozen=True)
class Remote:
    """A folder on an object store and its local copy."""

    url: str
    local: Path

    def pull(self) -> None:
        """Bring the local copy in step: new and changed objects arrive, those that vanished from the store go.

        Local files that never came from the store, or went to it, are left alone. A file appears whole or not at all.
        An object that cannot be a local file is left out, and remembered for :func:`unplaced`; so is one that the store
        lists and does not let us read, for :func:`refused`: what was read of it before stays. Whatever ends a pull,
        what it fetched is remembered: it is not fetched again, and goes when its object does.

        Raises:
            StoreError: when the store cannot be listed or read.
        """
        known = _state(self.local)
        try:
            listed = {name: info for name, info in self._listed().items() if _is_file(name, info)}
            placed = _placed(listed)
            for name in (name for name, tag in known.items() if _copy_of(tag) and name not in placed):
                self._remove(name)  # first: a folder may take the name of a file that went, and a file a folder's
            self._fetch({name: listed[name] for name in listed if name in placed}, listed, known)
        except Exception as error:  # fsspec lets every store raise errors of its own
            raise StoreError(f"{self.url}: {error}") from error

    def _fetch(
        self, wanted: Mapping[str, Mapping[str, Any]], listed: Iterable[str], known: Mapping[str, str | None]
    ) -> None:
        """Download what is new of the objects that can be files, and remember how each of the listed ones stands."""
        new = [name for name, info in wanted.items() if known.get(name) != _tag(info) or not self._has(name)]
        # a process that is killed says nothing more: what it is about to fetch is named before
        tags = {name: (known.get(name) or _COMING) if name in wanted else None for name in listed}
        if new:
            _remember(self.local, tags)
        try:
            for count, name in enumerate(new, start=1):
                tags[name] = self._bring(name, wanted, known.get(name))
                if count % _REMEMBER_EVERY == 0:
                    _remember(self.local, tags)
            if len(wanted) > 1 and all(_is_refused(tags[name]) and not self._has(name) for name in wanted):
                raise PermissionError(_why(tags[new[0]]))  # of all objects none may be read: it is not the objects
        finally:
            _remember(self.local, tags)

    def push(self, paths: Iterable[Path]) -> None:
        """Write local files to the store; a path that no longer exists is removed from it.

        Raises:
            StoreError: when the store refuses; also for an object that we may not read, which would be replaced unseen.
        """
        known = _state(self.local)
        try:
            for path in paths:
                name = path.relative_to(self.local).as_posix()
                if _is_refused(known.get(name)) and self._files.exists(self._place(name)):
                    raise PermissionError(f"{name} is there and may not be read ({_why(known[name])}); not replaced")
                if path.exists():
                    self._files.put_file(str(path), self._place(name))
                    known[name] = _tag(self._files.info(self._place(name)))
                elif self._files.exists(self._place(name)):
                    self._files.rm_file(self._place(name))
                    known.pop(name, None)
        except Exception as error:  # as above
            raise StoreError(f"{self.url}: {error}") from error
        finally:
            _remember(self.local, known)

    def fetch(self, paths: Iterable[Path]) -> None:
        """Download single files that the store has and the local copy has not.

        Raises:
            StoreError: when the store cannot be read.
        """
        try:
            for path in paths:
                name = path.relative_to(self.local).as_posix()
                if not path.exists() and self._files.exists(self._place(name)):
                    self._download(name, self._files.info(self._place(name)))
        except Exception as error:  # as above
            raise StoreError(f"{self.url}: {error}") from error

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        # without a cache of listings: others write to the store while we look
        files, root = fsspec.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True)
        return files, root.rstrip("/")

    @property
    def _files(self) -> Any:
        return self._opened[0]

    def _place(self, name: str) -> str:
        return f"{self._opened[1]}/{name}"

    def _listed(self) -> dict[str, Mapping[str, Any]]:
        root = self._opened[1]
        self._files.invalidate_cache()
        found = self._files.find(root, detail=True)
        return {path[len(root) + 1 :]: info for path, info in found.items()}

    def _bring(self, name: str, wanted: Mapping[str, Mapping[str, Any]], before: str | None) -> str | None:
        """Download an object; its tag, that it is refused, or None where something else lies in its place."""
        try:
            self._download(name, wanted[name])
        except _IN_THE_WAY:
            return None
        except _RefusedError as refusal:
            if not refusal.is_of_object and not self._serves(other for other in wanted.items() if other[0] != name):
                raise
            return f"{_REFUSED}{_copy_of(before) or ''}\n{refusal}"
        return _tag(wanted[name])

    def _serves(self, others: Iterable[tuple[str, Mapping[str, Any]]]) -> bool:
        """Whether the store gives a byte of another object: of the latest, because old ones may be in an archive."""
        latest = sorted(others, key=lambda other: _changed_at(other[1]) or 0, reverse=True)
        for name in [name for name, info in latest if info.get("size")][:_WITNESSES]:
            with contextlib.suppress(Exception):  # as above; whatever it is, this object is no witness
                return bool(self._files.cat_file(self._place(name), start=0, end=1))
        return False

    def _has(self, name: str) -> bool:
        return (self.local / name).is_file()

    def _remove(self, name: str) -> None:
        path = self.local / name
        if self._has(name):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            for folder in path.relative_to(self.local).parents[:-1]:
                (self.local / folder).rmdir()

    def _download(self, name: str, info: Mapping[str, Any]) -> None:
        target = self.local / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(draft_name(target.name, str(os.getpid())))
        try:
            draft.touch()  # a folder that we may not write to is not the object's fault
            try:
                self._files.get_file(self._place(name), str(draft))
            except Exception as error:  # as above
                if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _OF_THE_DISK):
                    raise
                raise _RefusedError(error) from error
            if (stamp := _changed_at(info)) is not None:
                os.utime(draft, (stamp, stamp))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


class _RefusedError(OSError):
    """The store does not give an object. Its words are those of the store, in one line."""

    def __init__(self, error: Exception) -> None:
        super().__init__(" ".join(str(error).split())[:200] or type(error).__name__)
        self.is_of_object = isinstance(error, PermissionError)  # what else there is may be the store's own trouble


def unplaced(local: Path) -> list[str]:
    """Objects that the last pull left out of a local copy, because no local file can be what they are."""
    return [name for name, tag in _state(local).items() if tag is None]


def refused(local: Path) -> dict[str, str]:
    """Objects that the last pull could not read, with the store's words; what was read of them before is kept."""
    return {name: _why(tag) for name, tag in _state(local).items() if _is_refused(tag)}


def forget_left_out(local: Path) -> None:
    """A folder that is no store's copy any more owes nobody an object; files that came from the store stay its own."""
    if unplaced(local) or refused(local):
        _remember(local, {name: copy for name, tag in _state(local).items() if (copy := _copy_of(tag))})


def _is_refused(tag: str | None) -> bool:
    """Whether the state says of an object that it could not be read."""
    return tag is not None and tag.startswith(_REFUSED)


def _copy_of(tag: str | None) -> str | None:
    """What tells the content of the local copy, also that of an object that may not be read now; None without one."""
    if tag is None or not _is_refused(tag):
        return tag
    return tag.removeprefix(_REFUSED).partition("\n")[0] or None


def _why(tag: str | None) -> str:
    return (tag or "").partition("\n")[2]


def _remember(local: Path, tags: Mapping[str, str | None]) -> None:
    local.mkdir(parents=True, exist_ok=True)
    draft = local / f"{STATE}.{os.getpid()}"
    draft.write_text(json.dumps(dict(sorted(tags.items())), indent=0))
    draft.replace(local / STATE)


def _state(local: Path) -> dict[str, str | None]:
    """Object -> what tells its content from others, or that it is coming or refused; None for one that is left out."""
    try:
        found = json.loads((local / STATE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_file(name: str, info: Mapping[str, Any]) -> bool:
    """Whether an object is meant as a file: hidden ones are not, nor is what S3's console makes for an empty folder."""
    is_hidden = any(part.startswith(".") and part not in {".", ".."} for part in name.split("/"))
    return bool(name) and not is_hidden and bool(info.get("size") or not name.endswith("/"))


def _placed(names: Iterable[str]) -> set[str]:
    """Those of the objects that can be local files; of a file and a folder of one name the folder."""
    possible = {name for name in names if _is_path(name)}
    return possible - {str(folder) for name in possible for folder in PurePosixPath(name).parents}


def _is_path(name: str) -> bool:
    """Whether an object's name may become a file below the folder: an object may be called anything, ``../x`` too."""
    parts = name.split("/")
    return "\0" not in name and all(p not in {"", ".", ".."} and len(p.encode()) <= LONGEST_NAME for p in parts)


def _tag(info: Mapping[str, Any]) -> str:
    """What changes when an object's content does."""
    tag = info.get("ETag") or info.get("etag") or info.get("LastModified") or info.get("mtime")
    return f"{info.get('size')}:{tag}"


def _changed_at(info: Mapping[str, Any]) -> float | None:
    found = info.get("LastModified") or info.get("mtime")
    if isinstance(found, datetime):
        return found.timestamp()
    return float(found) if isinstance(found, int | float) else None
