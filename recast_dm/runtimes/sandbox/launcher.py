"""A program: makes a container's files and starts its command, in namespaces that util-linux `unshare` has made.

It is started by its path, so it finds `kernel` beside it. Standard input is the command's; its one argument is the
descriptor of a file with the request (`unshared.request`), in JSON. It imports little, for every start waits for it.
"""
# ruff: noqa: PTH103, PTH112, PTH120, PTH123, PTH211  # pathlib takes longer to import than a container to start

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import socket
import stat
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from recast_dm.runtimes.sandbox import kernel
else:
    import kernel

DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
PLAIN = kernel.NO_SETUID | kernel.NO_DEVICES
FAILED = 125
"""The exit code when the container could not be made."""


def main(request: Mapping[str, Any]) -> int:
    """Makes the container, and waits for it as its first process."""
    root = request["root"]
    kernel.mount("none", "/", None, kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount("none", root, "tmpfs", PLAIN, "mode=755")
    _files(root, iter(request["files"]))
    if not request["network"]:
        _loopback()
    kernel.pivot(root)
    child = os.fork()
    if child == 0:
        _become(*request["user"], privileged=request["privileged"])
        for name, most in request["limits"].items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
        os.chdir(request["cwd"])
        _execute(request["argv"], request["env"], request["status"])
    code = _wait(child)
    _tell(request["status"], {"exit-code": code})
    return code


def _files(root: str, words: Iterator[str]) -> None:
    """Does what bubblewrap's words for files say, in their order."""
    mode, size = "755", ""
    for word in words:
        if word == "--perms":
            mode = next(words)
        elif word == "--size":
            size = f",size={next(words)}"
        elif word in ("--ro-bind", "--bind"):
            _bind(next(words), root + next(words), read_only=word == "--ro-bind")
        elif word == "--symlink":
            target = next(words)
            os.symlink(target, root + next(words))
        else:
            _mount(word, root + next(words), f"mode={mode}{size}")


def _mount(word: str, place: str, options: str) -> None:
    if word == "--dir":
        _directory(place)
    elif word == "--tmpfs":
        kernel.mount("none", _directory(place), "tmpfs", PLAIN, options)
    elif word == "--proc":
        kernel.mount("proc", _directory(place), "proc", PLAIN | kernel.NO_PROGRAMS)
    elif word == "--dev":
        _devices(_directory(place))
    elif word == "--remount-ro":
        kernel.mount("none", place, None, kernel.REMOUNT | kernel.BIND | PLAIN | kernel.READ_ONLY)
    else:
        raise ValueError(f"the word {word!r} is not known")


def _bind(source: str, target: str, *, read_only: bool) -> None:
    if os.path.isdir(source):
        _directory(target)
    else:
        _directory(os.path.dirname(target))
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    kernel.bind(source, target, read_only=read_only)


def _directory(path: str) -> str:
    os.makedirs(path, 0o755, exist_ok=True)
    return path


def _devices(place: str) -> None:
    """The devices that harm nobody: those of this machine, for a user namespace can make none."""
    kernel.mount("none", place, "tmpfs", kernel.NO_SETUID, "mode=755")
    for name in DEVICES:
        os.close(os.open(f"{place}/{name}", os.O_CREAT | os.O_WRONLY, 0o644))
        kernel.mount(f"/dev/{name}", f"{place}/{name}", None, kernel.BIND)
    kernel.mount("none", _directory(f"{place}/shm"), "tmpfs", PLAIN, "mode=1777")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{place}/{name}")


def _loopback() -> None:
    """Brings up `lo`, the only network there is."""
    get_flags, set_flags, up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sH14x", b"lo", 0)
        (flags,) = struct.unpack("16xH14x", fcntl.ioctl(any_socket, get_flags, asked))
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH14x", b"lo", flags | up))


def _become(uid: int, gid: int, *, privileged: bool) -> None:
    """An unprivileged user in a last user namespace, in which no more can be made, without any right.

    Who is root of the machine becomes that user outside of it too.
    """
    if privileged:
        _own_streams(uid, gid)
        kernel.limit_capabilities()
        kernel.become(uid, gid)
        kernel.own_proc()
    outside = (uid, gid) if privileged else (0, 0)
    kernel.unshare(kernel.NEW_USERS)
    _write("/proc/self/uid_map", f"{uid} {outside[0]} 1")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/gid_map", f"{gid} {outside[1]} 1")
    _write("/proc/sys/user/max_user_namespaces", "0")
    kernel.limit_capabilities()
    kernel.renounce()


def _own_streams(uid: int, gid: int) -> None:
    """Gives away the pipes that the command reads and writes: it may open them anew, by name."""
    for descriptor in (0, 1, 2):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            os.fchown(descriptor, uid, gid)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _execute(argv: list[str], env: Mapping[str, str], status: int) -> None:
    """The command takes this process's place; what is none ends as in a shell."""
    os.set_inheritable(status, False)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and no business of the command
        signal.signal(ignored, signal.SIG_DFL)
    _tell(status, {"child-pid": os.getpid()})
    try:
        os.execvpe(argv[0], argv, env)  # noqa: S606  # no shell is wanted
    except OSError as error:
        _say(f"{argv[0]}: {error.strerror}")
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


def _tell(status: int, what: Mapping[str, Any]) -> None:
    os.write(status, json.dumps(what).encode() + b"\n")


def _say(text: str) -> None:
    os.write(2, f"{text}\n".encode())


def _wait(child: int) -> int:
    """Waits for the command as the first process of its namespace: whatever it leaves ends with us."""
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    try:
        with open(int(sys.argv[1]), encoding="utf-8") as given:
            asked = json.load(given)
        os._exit(main(asked))
    except (OSError, ValueError) as problem:
        _say(str(problem))
        os._exit(FAILED)
