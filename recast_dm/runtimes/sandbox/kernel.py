"""What the kernel offers to whoever makes containers: mounts, namespaces, and giving up rights for good.

Each call is of one thread. Nothing here needs more than Python itself: `launcher` is started with this file alone.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache

NEW_MOUNTS, NEW_USERS = 0x00020000, 0x10000000
READ_ONLY, NO_SETUID, NO_DEVICES, NO_PROGRAMS = 1, 2, 4, 8
REMOUNT, BIND, RECURSIVE, PRIVATE = 32, 4096, 16384, 1 << 18
_DETACH = 2
_NO_NEW_PRIVILEGES, _DROP_FROM_BOUNDING_SET, _DUMPABLE = 38, 24, 4
_CAPABILITIES_3 = 0x20080522

_CALLS = {
    "x86_64": {"setgroups": 116, "setresuid": 117, "setresgid": 119},
    "aarch64": {"setgroups": 159, "setresuid": 147, "setresgid": 149},
}
"""Numbers of the calls that the C library makes for all threads at once, and we for one."""

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    words = [None if each is None else os.fsencode(each) for each in (source, target, kind)]
    options = None if data is None else data.encode()
    _done(_libc.mount(*words, ctypes.c_ulong(flags), options), f"mount {source} at {target}")


def bind(source: str, target: str, *, read_only: bool) -> None:
    """Shows a file or a directory at a second place, with what is mounted in it; setuid and devices mean nothing."""
    mount(source, target, None, BIND | RECURSIVE)
    own = os.path.realpath(target)
    for place in _mounted(own):
        try:
            kept = os.statvfs(place).f_flag & (READ_ONLY | NO_PROGRAMS)  # what a user namespace may not lift
            flags = NO_SETUID | NO_DEVICES | kept | (READ_ONLY if read_only else 0)
            mount("none", place, None, BIND | REMOUNT | flags)
        except (PermissionError, FileNotFoundError):  # another mount may hide it
            if place == own:
                raise  # else what cannot be reached here cannot be reached there


def _mounted(place: str) -> list[str]:
    """What is mounted at a place and below it: of two at one place, the one that is seen."""
    with open("/proc/self/mountinfo", "rb") as lines:  # noqa: PTH123  # as above
        fields = [line.split()[4] for line in lines.read().splitlines()]
    found = [os.fsdecode(field.decode("unicode_escape").encode("latin-1")) for field in fields]
    return sorted({each for each in found if each == place or each.startswith(f"{place}/")})


def pivot(root: str) -> None:
    """Makes a mounted directory the root, and lets go of the old one."""
    os.chdir(root)
    _done(_libc.pivot_root(b".", b"."), f"make {root} the root")
    _done(_libc.umount2(b".", _DETACH), "let go of the old root")
    os.chdir("/")


def unshare(flags: int) -> None:
    """unshare(2), of this thread."""
    _done(_libc.unshare(flags), "make namespaces")


def become(uid: int, gid: int) -> None:
    """This thread becomes an unprivileged user. Raises OSError on a machine whose calls are not known."""
    calls = _CALLS.get(os.uname().machine)
    if calls is None:
        raise OSError(f"the system calls of {os.uname().machine} are not known here")
    for name, values in (("setgroups", (0, 0)), ("setresgid", (gid,) * 3), ("setresuid", (uid,) * 3)):
        _done(_libc.syscall(calls[name], *map(ctypes.c_long, values)), name)


def limit_capabilities() -> None:
    """No program that this thread starts has a capability, or gains one. Needs CAP_SETPCAP."""
    for number in range(_capabilities()):
        _done(_libc.prctl(_DROP_FROM_BOUNDING_SET, number, 0, 0, 0), f"drop the capability {number}")


@cache
def _capabilities() -> int:
    """How many this kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as last:  # noqa: PTH123  # no pathlib: it is slow to import
        return int(last.read()) + 1


def renounce() -> None:
    """This thread gives up what capabilities it has, and what it starts gets no new privileges."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
    _done(_libc.capset(header, (ctypes.c_uint32 * 6)()), "give up capabilities")
    _done(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "renounce new privileges")


def own_proc() -> None:
    """What /proc says of this process belongs to the user that it has become, and no more to root."""
    _done(_libc.prctl(_DUMPABLE, 1, 0, 0, 0), "be seen")


def _done(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")
