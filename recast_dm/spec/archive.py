"""Input archives: zip files out of foreign hands, unpacked within bounds and nowhere but where they should be."""

from __future__ import annotations

import fnmatch
import posixpath
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from recast_dm.errors import Location, SpecError

MAX_ARCHIVE = 1024**3
MAX_BYTES = 4 * 1024**3
MAX_MEMBERS = 10_000
_DIRECTORY_BYTES = 1024  # of the archive's table of contents, for one member: a long name, and a comment
_END = struct.Struct("<4s4H2LH")


def extract(
    archive: Path,
    into: Path,
    match: str | None = None,
    *,
    where: Location | None = None,
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
) -> Path:
    """Unpacks a zip file into a new directory, and gives the directory.

    With `match`, a pattern that ends with a slash, only what lies in the one directory of the archive that matches;
    its own path goes. Raises SpecError for what is no zip file, is too large, or would write elsewhere.
    """
    try:
        with archive.open("rb") as file:
            _check_table(file, max_members)
            with zipfile.ZipFile(file) as opened:
                members = _members(opened, max_bytes, max_members)
                base = _base(members, match) if match else ""
                into.mkdir(parents=True)
                _write(opened, members, base, into)
    except _Refused as refused:
        raise SpecError(f"the archive {archive.name}: {refused}", where=where) from None
    except FileExistsError as error:
        raise SpecError(f"the archive {archive.name}: {error.filename} is there already", where=where) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise SpecError(
            f"the archive {archive.name} cannot be unpacked: {str(error)[:200]}",
            where=where,
            hint="`unzip -t` tests a zip file; make it again without encryption",
        ) from None
    return into


class _Refused(Exception):
    """Why an archive is not unpacked."""


def _check_table(file: BinaryIO, max_members: int) -> None:
    """The table of contents is read into memory at once: its size is checked before."""
    size = file.seek(0, 2)
    if size > MAX_ARCHIVE:
        raise _Refused(f"it has {size} bytes; {MAX_ARCHIVE} may be")
    file.seek(max(0, size - (1 << 16) - 2 * _END.size))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise _Refused("it is not a zip file")
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, at)
    if max(count, length // _DIRECTORY_BYTES) > max_members or b"PK\6\7" in tail[max(0, at - 20) : at]:
        raise _Refused(f"it has more than {max_members} members")
    file.seek(0)


def _members(opened: zipfile.ZipFile, max_bytes: int, max_members: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, all of them checked before the first is written."""
    members: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for info in opened.infolist():
        name = info.filename
        if problem := _problem(info):
            raise _Refused(f"the member {name[:100]!r} {problem}")
        if name in members:
            raise _Refused(f"the member {name[:100]!r} is in it twice")
        members[name] = info
        total += info.file_size
        if len(members) > max_members:
            raise _Refused(f"it has more than {max_members} members")
        if total > max_bytes:
            raise _Refused(f"it unpacks to more than {max_bytes} bytes")
    return members


def _problem(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    return name_problem(info.filename) or ("is encrypted" if info.flag_bits & 1 else None)


def name_problem(name: str) -> str | None:
    """Why no archive may hold a member of this name, if so.

    >>> name_problem("a/b.txt"), name_problem("../x"), name_problem("C:x")
    (None, 'would be written outside', 'has a name that no file here may have')
    """
    if name.startswith("/") or "\\" in name or ":" in name.partition("/")[0] or not name.isprintable() or not name:
        return "has a name that no file here may have"
    return "would be written outside" if ".." in name.split("/") else None


def _base(members: dict[str, zipfile.ZipInfo], match: str) -> str:
    """The one directory of an archive that matches, also where the archive does not list its directories."""
    if not match.endswith("/"):
        raise _Refused(f"the archivematch {match!r} must end with a slash")
    directories: set[str] = set()
    for name in members:
        parts = name.split("/")
        directories |= {"/".join(parts[:depth]) + "/" for depth in range(1, min(len(parts), 64))}
    found = fnmatch.filter(sorted(directories), match)
    if len(found) != 1:
        seen = f": {', '.join(found[:5])}" if found else ""
        raise _Refused(f"the archivematch {match!r} matches {len(found)} directories, not one{seen}")
    return found[0]


def _write(opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], base: str, into: Path) -> None:
    for name, info in members.items():
        inner = posixpath.normpath(name.removeprefix(base)) if name.startswith(base) else "."
        if inner == ".":
            continue
        target = into / inner
        if info.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with opened.open(info) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file)  # zipfile gives no more than the size that was checked
        target.chmod(0o755 if (info.external_attr >> 16) & 0o111 else 0o644)
