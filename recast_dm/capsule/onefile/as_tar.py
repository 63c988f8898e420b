"""A capsule as a tar file: ustar, with a pax header where a name or a size has no place in it.

A reader demands just the bytes that this writes, as for zip files: no links, no devices, no holes, no GNU names.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence

from recast_dm.capsule.onefile.members import MAX_NAME, Bytes, Member, Refused, decoded

MAGIC = b"ustar"
MAGIC_AT = 257
BLOCK = 512
LARGEST = 8**11 - 1
"""Bytes of a member that ustar can say."""

_ZEROS = bytes(BLOCK)
_KINDS = {
    b"1": "is a hard link",
    b"2": "is a link",
    b"3": "is a device",
    b"4": "is a device",
    b"5": "is a directory, which is not listed",
    b"6": "is a pipe",
    b"L": "has a name in GNU's form",
    b"K": "is a link",
    b"S": "has holes",
}
_SIZE = re.compile(rb"[0-7]{11}\0")
_RECORD = re.compile(rb"\d{1,5} (path|size)=([^\n]*)\n")
_EXECUTABLE = b"0000755\0"


def gap(size: int) -> int:
    """How many bytes stand between a member's and the next header."""
    return -size % BLOCK


def head(member: Member) -> bytes:
    """What stands before a member's bytes."""
    name = member.name.encode()
    split = _split(name)
    mode = 0o755 if member.executable else 0o644
    small = member.size if member.size <= LARGEST else 0
    block = _block(split or (b"", name[:100]), mode, small, b"0")
    body = b"" if name.isascii() and split else _record(b"path", name)
    body += b"" if member.size <= LARGEST else _record(b"size", b"%d" % member.size)
    if not body:
        return block
    title = b"PaxHeader/%08x" % zlib.crc32(body)  # nothing else in a tar file would tell that the body has changed
    return _block((b"", title), 0o644, len(body), b"x") + body + bytes(gap(len(body))) + block


def ending(_members: Sequence[Member], _start: int) -> Iterator[bytes]:
    """Two empty blocks end a tar file."""
    yield _ZEROS * 2


def member_at(file: Bytes, at: int) -> Member | None:
    """The member whose header stands there; None at the end. Raises Refused."""
    block, place, said = file.at(at, BLOCK), at, {}
    if block == _ZEROS:
        return None
    if block[156:157] == b"x":
        length = _size(block, at)
        if length > 2 * MAX_NAME:
            raise Refused(f"the pax header at byte {at} has {length} bytes")
        body = file.at(at + BLOCK, length)
        said = {found[1]: found[2] for found in _RECORD.finditer(body)}
        place = at + BLOCK + length + gap(length)
        block = file.at(place, BLOCK)
    member = _member(block, place, said)
    if head(member) != file.at(at, place + BLOCK - at):
        raise Refused(f"the header of {member.name[:100]!r} (at byte {at}) was not written by recast-dm")
    return member


def _member(block: bytes, at: int, said: dict[bytes, bytes]) -> Member:
    """What a header says, before anybody has looked whether it is ours. `said` are the records of its pax header."""
    if not block.startswith(b"ustar\00000", MAGIC_AT):
        raise Refused(f"what stands at byte {at} is no header of a tar file")
    short, prefix = (field.partition(b"\0")[0] for field in (block[:100], block[345:500]))
    name = decoded(said.get(b"path") or (prefix + b"/" + short if prefix else short), at)
    kind = block[156:157]
    if kind != b"0":
        problem = _KINDS.get(kind, "was not written by recast-dm")
        raise Refused(f"the member {name[:100]!r} (at byte {at}) {problem}")
    size = _size(block, at)
    if b"size" in said and said[b"size"].isdigit() and len(said[b"size"]) < 20:
        size = int(said[b"size"])
    return Member(name, at + BLOCK, size, block[100:108] == _EXECUTABLE)


def close(file: Bytes, at: int, members: Sequence[Member]) -> Sequence[Member]:
    """The members, when the file ends there as it should. Raises Refused."""
    if file.size != at + 2 * BLOCK or file.at(at, 2 * BLOCK) != _ZEROS * 2:
        raise Refused(f"what stands from byte {at} on was not written by recast-dm")
    return members


def _size(block: bytes, at: int) -> int:
    if not _SIZE.fullmatch(block[124:136]):
        raise Refused(f"the header at byte {at} says no size")
    return int(block[124:135], 8)


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """A name as the two fields of a header, or None where it is too long.

    >>> _split(b"x.capsule/" + b"a" * 95) == (b"x.capsule", b"a" * 95)
    True
    """
    if len(name) <= 100:
        return b"", name
    cut = name.find(b"/", len(name) - 101)
    return (name[:cut], name[cut + 1 :]) if 0 < cut <= 155 else None


def _record(key: bytes, value: bytes) -> bytes:
    """A line of a pax header, which begins with its own length.

    >>> _record(b"path", b"x" * 90)[:8]
    b'99 path='
    >>> _record(b"path", b"x" * 91)[:9]
    b'101 path='
    """
    rest = b" %s=%s\n" % (key, value)
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d%s" % (length, rest)


def _block(name: tuple[bytes, bytes], mode: int, size: int, kind: bytes) -> bytes:
    numbers = b"%07o\0" % mode + b"0000000\0" * 2 + b"%011o\0" % size + b"%011o\0" % 0
    before = name[1].ljust(100, b"\0") + numbers
    after = kind + bytes(100) + b"ustar\00000" + bytes(64) + b"0000000\0" * 2 + name[0].ljust(155, b"\0") + bytes(12)
    checksum = sum(before) + sum(after) + sum(b" " * 8)
    return before + b"%06o\0 " % checksum + after
