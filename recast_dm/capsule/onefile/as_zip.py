"""A capsule as a zip file: nothing compressed, nothing optional, so that one directory has one form.

A reader demands just the bytes that this writes: then nothing can hide between members, lie in two of them, or be
called differently in the table of contents at the end. The executable bit stands in that table only.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace

from recast_dm.capsule.onefile.members import Bytes, Member, Refused, decoded

MAGIC = b"PK\3\4"
MAGIC_AT = 0
FAR = 0xFFFFFFFF
"""From here on a number has no place in 32 bits, and stands in a zip64 field."""

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_TABLE = b"PK\1\2"
_DATE = 1 << 5 | 1  # 1980-01-01, the first day that a zip file knows
_UTF8 = 1 << 11
_ENCRYPTED = 1 | 1 << 6 | 1 << 13
_UNIX = 3 << 8
_PLAIN, _ZIP64 = 20, 45  # the version of the format that a reader needs


def gap(_size: int) -> int:
    """How many bytes stand between a member's and the next header."""
    return 0


def head(member: Member) -> bytes:
    """What stands before a member's bytes."""
    name = member.name.encode()
    extra = _zip64(member.size, member.size) if member.size >= FAR else b""
    size = min(member.size, FAR)
    needed = _ZIP64 if extra else _PLAIN
    crc = member.crc or 0
    fixed = _LOCAL.pack(MAGIC, needed, _flags(name), 0, 0, _DATE, crc, size, size, len(name), len(extra))
    return fixed + name + extra


def ending(members: Sequence[Member], start: int) -> Iterator[bytes]:
    """The table of contents, which begins at `start`, and what says where it is."""
    length = 0
    for member in members:
        entry = _entry(member)
        length += len(entry)
        yield entry
    yield _end(len(members), start, length)


def member_at(file: Bytes, at: int) -> Member | None:
    """The member whose header stands there; None where the table of contents begins. Raises Refused."""
    fixed = file.at(at, _LOCAL.size)
    if fixed.startswith(_TABLE):
        return None
    _, _, flags, method, _, _, crc, _, size, length, extra = _LOCAL.unpack(fixed)
    if not fixed.startswith(MAGIC) or extra not in (0, len(_zip64(0, 0))):
        raise Refused(f"what stands at byte {at} was not written by recast-dm")
    name = decoded(file.at(at + _LOCAL.size, length), at)
    if problem := _problem(flags, method):
        raise Refused(f"the member {name[:100]!r} (at byte {at}) {problem}")
    rest = file.at(at + _LOCAL.size + length, extra)
    if size == FAR and rest:
        size = struct.unpack_from("<Q", rest, 4)[0]
    member = Member(name, at + _LOCAL.size + length + extra, size, crc=crc)
    if head(member) != file.at(at, member.offset - at):
        raise Refused(f"the header of {name[:100]!r} (at byte {at}) was not written by recast-dm")
    return member


def _problem(flags: int, method: int) -> str | None:
    if flags & _ENCRYPTED:
        return "is encrypted"
    return "is compressed" if method else None


def close(file: Bytes, at: int, members: Sequence[Member]) -> list[Member]:
    """The members with their executable bits, when the table of contents at `at` lists just these. Raises Refused."""
    place, found = at, []
    for member in members:
        entries = {_entry(each): each for each in (member, replace(member, executable=True))}
        length = len(next(iter(entries)))
        entry = file.at(place, length)
        if entry not in entries:
            raise Refused(_why(entry, member, place))
        found.append(entries[entry])
        place += length
    end = _end(len(members), at, place - at)
    if file.size != place + len(end) or file.at(place, len(end)) != end:
        raise Refused(f"what stands from byte {place} on was not written by recast-dm")
    return found


def _why(entry: bytes, member: Member, at: int) -> str:
    """In which way the table of contents does not list a member."""
    kind = stat.S_IFMT(_CENTRAL.unpack_from(entry)[-2] >> 16)
    if entry.startswith(_TABLE) and kind not in (0, stat.S_IFREG):
        return f"the member {member.name[:100]!r} is a link or a device (at byte {at})"
    return f"the table of contents (at byte {at}) does not list the member {member.name[:100]!r} as it is"


def _flags(name: bytes) -> int:
    return 0 if name.isascii() else _UTF8


def _zip64(*numbers: int) -> bytes:
    return struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""


def _entry(member: Member) -> bytes:
    name = member.name.encode()
    start = member.offset - len(head(member))
    sizes = [member.size] * 2 if member.size >= FAR else []
    extra = _zip64(*sizes, *([start] if start >= FAR else []))
    version = _ZIP64 if extra else _PLAIN
    mode = stat.S_IFREG | (0o755 if member.executable else 0o644)
    size = min(member.size, FAR)
    fixed = _CENTRAL.pack(
        *(_TABLE, _UNIX | version, version, _flags(name), 0, 0, _DATE, member.crc or 0, size, size),
        *(len(name), len(extra), 0, 0, 0, mode << 16, min(start, FAR)),
    )
    return fixed + name + extra


def _end(count: int, start: int, length: int) -> bytes:
    few = min(count, 0xFFFF)
    short = _END.pack(b"PK\5\6", 0, 0, few, few, min(length, FAR), min(start, FAR), 0)
    if count < 0xFFFF and max(start, length) < FAR:
        return short
    size = _END64.size - 12  # what follows the field that says it
    far = _END64.pack(b"PK\6\6", size, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, length, start)
    return far + _LOCATOR.pack(b"PK\6\7", 0, start + length, 1) + short
