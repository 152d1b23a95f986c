"""Landing and lake on an object store, through fsspec: a local copy kept in step, so that everything else reads files.

Belongs here: bringing a folder and a store together. Does not belong here: what the files mean. Addresses are fsspec's
(``s3://bucket/prefix``, ``gs://``, ``file://``); credentials and end points come from the store's own environment
variables (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...), never from ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

STATE = ".remote.json"
#: Bytes that a file system takes for the name of a file or folder; a store takes 1,024 for the whole path.
LONGEST_NAME = 255
#: What stands in the way of a file that a local folder, or a file where it needs a folder, has the name of.
_IN_THE_WAY = (FileExistsError, IsADirectoryError, NotADirectoryError)


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
        An object that cannot be a local file is left out, and remembered for :func:`unplaced`.

        Raises:
            StoreError: when the store cannot be listed or read.
        """
        known = _state(self.local)
        try:
            listed = {name: info for name, info in self._listed().items() if _is_file(name, info)}
            placed = _placed(listed)
            for name in (name for name, tag in known.items() if tag and name not in placed):
                self._remove(name)  # first: a folder may take the name of a file that went, and a file a folder's
            tags = {name: self._bring(name, listed[name], known) if name in placed else None for name in listed}
        except Exception as error:  # fsspec lets every store raise errors of its own
            raise StoreError(f"{self.url}: {error}") from error
        _remember(self.local, tags)

    def push(self, paths: Iterable[Path]) -> None:
        """Write local files to the store; a path that no longer exists is removed from it.

        Raises:
            StoreError: when the store refuses.
        """
        known = _state(self.local)
        try:
            for path in paths:
                name = path.relative_to(self.local).as_posix()
                if path.exists():
                    self._files.put_file(str(path), self._place(name))
                    known[name] = _tag(self._files.info(self._place(name)))
                elif self._files.exists(self._place(name)):
                    self._files.rm_file(self._place(name))
                    known.pop(name, None)
        except Exception as error:  # as above
            raise StoreError(f"{self.url}: {error}") from error
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

    def _bring(self, name: str, info: Mapping[str, Any], known: Mapping[str, str | None]) -> str | None:
        """Download what is new; the object's tag, or None where something else lies in its place."""
        if known.get(name) == _tag(info) and (self.local / name).is_file():
            return _tag(info)
        try:
            self._download(name, info)
        except _IN_THE_WAY:
            return None
        return _tag(info)

    def _remove(self, name: str) -> None:
        path = self.local / name
        if path.is_file():
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            for folder in path.relative_to(self.local).parents[:-1]:
                (self.local / folder).rmdir()

    def _download(self, name: str, info: Mapping[str, Any]) -> None:
        target = self.local / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # not the name itself, which may be as long as a name can be
        draft = target.with_name(f".{hashlib.sha256(name.encode()).hexdigest()[:16]}.{os.getpid()}")
        try:
            self._files.get_file(self._place(name), str(draft))
            if (stamp := _changed_at(info)) is not None:
                os.utime(draft, (stamp, stamp))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


def unplaced(local: Path) -> list[str]:
    """Objects that the last pull left out of a local copy, because no local file can be what they are."""
    return [name for name, tag in _state(local).items() if tag is None]


def forget_unplaced(local: Path) -> None:
    """A folder that is no store's copy any more owes nobody an object; files that came from the store stay its own."""
    if unplaced(local):
        _remember(local, {name: tag for name, tag in _state(local).items() if tag is not None})


def _remember(local: Path, tags: Mapping[str, str | None]) -> None:
    local.mkdir(parents=True, exist_ok=True)
    draft = local / f"{STATE}.{os.getpid()}"
    draft.write_text(json.dumps(dict(sorted(tags.items())), indent=0))
    draft.replace(local / STATE)


def _state(local: Path) -> dict[str, str | None]:
    """Object -> what tells its content from others; None for one that is left out."""
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
