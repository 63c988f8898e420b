"""Files to a workflow's workspace and back, one by one: what is there already is not moved again.

REANA tells of a file its path, size and time, and no hash. So a manifest lies there which says what the files are to
be: one of the size that it says is whole, for one that was cut is shorter. Before a manifest is written, what lies
there and is not vouched for by the one before is replaced. On the way back, a file that has its name is whole, and
carries the server's time.

One file after the other: a site takes 20 requests a second, and that is about what one connection can do.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import schemas, store
from recast_dm.backends.reana.api import Reana, inside, literal
from recast_dm.backends.reana.connection import NotAFile
from recast_dm.backends.reana.values import File, moment
from recast_dm.errors import IntegrityError, RemoteError, storage_error

MANIFEST = "recast-dm/manifest.json"
SCHEMA = "recast-dm/reana-manifest/1"
_ROUNDS = 3
"""How often a workspace is compared with what was sent, and mended: an upload may be cut and say that it went well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A file that arrived, or (`again`) lay there: with it, `done` of so many `files` and `bytes` of a `total`."""

    path: str
    size: int
    again: bool
    done: int
    files: int
    bytes: int
    total: int


Told = Callable[[Moved], object]


class _Tally:
    """Tells one after the other."""

    def __init__(self, sizes: Mapping[str, int], told: Told) -> None:
        self._sizes, self._told, self._total = sizes, told, sum(sizes.values())
        self._done = self._bytes = 0

    def arrived(self, path: str, *, again: bool) -> None:
        size = self._sizes[path]
        self._done += 1
        self._bytes += size
        files, total = len(self._sizes), self._total
        moved = Moved(path=path, size=size, again=again, done=self._done, files=files, bytes=self._bytes, total=total)
        self._told(moved)


def nobody(_: Moved) -> None:
    """Hears nothing."""


def send(
    reana: Reana,
    w: str,
    files: Mapping[str, Path | bytes],
    told: Told = nobody,
    *,
    before: Callable[[], object] = lambda: None,
) -> str:
    """Has all these files lie in the workspace, by path there; gives the digest of what the manifest says.

    `before` is called before each upload, and may raise what ends the sending.

    May be repeated after whatever went wrong: what lies there whole is not sent again. Raises IntegrityError when
    files have another size in the end, or change here meanwhile.
    """
    wanted = {inside(path): _Is.of(each) for path, each in sorted(files.items())}
    tally = _Tally({path: each.size for path, each in wanted.items()}, told)
    there = {file.path: file.size for file in reana.files(w)}
    said = _manifest(reana, w) if MANIFEST in there else {}
    whole = {path for path, each in wanted.items() if said.get(path) == each and there.get(path) == each.size}
    unvouched = {path for path, each in wanted.items() if path in there and said.get(path) != each}

    def moved(paths: Iterable[str]) -> None:
        for path in sorted(paths):
            if path not in whole:
                before()
                reana.upload(w, path, files[path])
            tally.arrived(path, again=path in whole)

    moved(unvouched)
    if said != wanted:
        reana.upload(w, MANIFEST, store.pretty(_document(wanted)))
    moved(wanted.keys() - unvouched)
    _demand_whole(reana, w, wanted, files, before)
    return store.digest(_document(wanted))


@dataclass(frozen=True, slots=True)
class _Is:
    """What a file is to be."""

    size: int
    sha256: str

    @classmethod
    def of(cls, source: Path | bytes) -> _Is:
        if isinstance(source, bytes):
            return cls(len(source), hashlib.sha256(source).hexdigest())
        try:
            return cls(source.stat().st_size, store.sha256_file(source))
        except OSError as error:
            raise storage_error(error, f"read {source}") from None


def _document(wanted: Mapping[str, _Is]) -> dict[str, Any]:
    return {"schema": SCHEMA, "files": {p: {"size": e.size, "sha256": e.sha256} for p, e in sorted(wanted.items())}}


def _manifest(reana: Reana, w: str) -> dict[str, _Is]:
    """What a manifest that lies there says; nothing, of one that is cut or another's."""
    try:
        document = json.loads(reana.read(w, MANIFEST))
    except (ValueError, RecursionError, NotAFile):
        return {}
    if schemas.problem("reana-manifest-1", document) is not None:
        return {}
    return {path: _Is(each["size"], each["sha256"]) for path, each in document["files"].items()}


def _demand_whole(
    reana: Reana,
    w: str,
    wanted: Mapping[str, _Is],
    files: Mapping[str, Path | bytes],
    before: Callable[[], object],
) -> None:
    """Looks at what lies there, and sends again what has another size."""
    odd: list[str] = []
    for _ in range(_ROUNDS):
        there = {file.path: file.size for file in reana.files(w)}
        odd = [path for path, each in wanted.items() if there.get(path) != each.size]
        if not odd:
            return
        for path in odd:
            before()
            reana.upload(w, path, files[path])
    raise IntegrityError(
        f"{odd[0]} does not arrive in the workspace of {w} as it is here ({len(odd)} files)",
        hint="does somebody else write there, or change the files here? else repeat the command",
    )


# --- back ------------------------------------------------------------------------------------------------------------


def everything(_: str) -> bool:
    """Wants every file."""
    return True


def fetch(
    reana: Reana,
    w: str,
    into: Path,
    wanted: Callable[[str], bool] = everything,
    told: Told = nobody,
    *,
    listed: Iterable[File] | None = None,
) -> store.Tree:
    """Brings the wanted files of a workspace, by path there, to the same paths below `into`; gives what they are.

    `listed` is the list of the files there, for whoever has it already. May be repeated: a file of the same size and
    time is not fetched again. Links and empty directories do not come, and REANA does not say which files may be
    executed. Raises IntegrityError for a path that leads out of `into`, and for a size that is not the list's.
    """
    there = reana.files(w) if listed is None else listed
    chosen = {inside(file.path): file for file in there if wanted(file.path)}
    tally = _Tally({path: file.size for path, file in chosen.items()}, told)
    store.make_directory(into)
    found = []
    for path, file in sorted(chosen.items()):
        target = _within(into, path)
        again = _is_here(target, file)
        if again or _fetched(reana, w, file, target):
            found.append(store.File(path, file.size, store.sha256_file(target), False, target.stat().st_mtime_ns))
        tally.arrived(path, again=again)
    return store.Tree(tuple(found))


def _within(into: Path, path: str) -> Path:
    """Where a file goes, if no link on the way leads elsewhere."""
    target = into / path
    store.make_directory(target.parent)
    if not target.parent.resolve().is_relative_to(into.resolve()) or target.is_symlink():
        raise IntegrityError(f"{path} would be written outside of {into}: a link is in the way")
    return target


def _time(file: File) -> int | None:
    """Nanoseconds since 1970."""
    said = moment(file.modified)
    return None if said is None else int(said.timestamp()) * 1_000_000_000


def _is_here(target: Path, file: File) -> bool:
    if not target.is_file():
        return False
    status = target.stat()
    return status.st_size == file.size and status.st_mtime_ns == _time(file)


def _fetched(reana: Reana, w: str, file: File, target: Path) -> bool:
    """Whether there was a file to fetch: links and empty directories are listed like one."""
    try:
        size = reana.download(w, file.path, target)
    except NotAFile:
        return False
    if size != file.size:
        target.unlink()
        raise IntegrityError(
            f"{file.path} of {w} came with {size} bytes, and the list says {file.size}",
            hint="does the workflow still run? repeat the command when it has ended",
        )
    written = _time(file)
    if written is not None:
        os.utime(target, ns=(written, written))
    return True


def file_of(reana: Reana, w: str, path: str) -> File:
    """One file of a workspace. Raises RemoteError where it is missing."""
    for file in reana.files(w, literal(inside(path))):
        if file.path == path:
            return file
    raise RemoteError(f"{w} has no file {path}", hint="`recast-dm ls` shows those that it has")
