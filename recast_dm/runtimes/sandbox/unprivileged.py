"""Root starts a program as somebody else, who sees what it needs and could not have reached by itself.

Namespaces of mounts and credentials belong to threads: one is made that binds what the program needs where its user
reaches it, becomes that user for good, and starts the program. The rest of this process stays what it was.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from recast_dm.runtimes.sandbox import kernel

STAGE = "/sys"
"""Where the program sees things, in its own namespace: what lies there is nobody's data, and none of a container's."""


def seen(n: int) -> Path:
    """The place of the nth thing that is shown."""
    return Path(STAGE, str(n))


class Started:
    """A program started by such a thread, which stays while it runs: a program may die with the thread it comes from.

    Raises what `start` raises, and OSError where the kernel refuses.
    """

    def __init__(
        self, user: tuple[int, int], shown: Sequence[Path], start: Callable[[], subprocess.Popen[bytes]]
    ) -> None:
        self._answer: subprocess.Popen[bytes] | BaseException | None = None
        self._answered, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._live, args=(user, shown, start), daemon=True)
        self._thread.start()
        self._answered.wait()
        if isinstance(self._answer, BaseException):
            raise self._answer

    def __enter__(self) -> subprocess.Popen[bytes]:
        assert isinstance(self._answer, subprocess.Popen)  # noqa: S101  # else it was raised
        return self._answer.__enter__()

    def __exit__(self, *error: object) -> None:
        assert isinstance(self._answer, subprocess.Popen)  # noqa: S101  # as above
        try:
            self._answer.__exit__(None, None, None)
        finally:
            self._over.set()
            self._thread.join()

    def _live(self, user: tuple[int, int], shown: Sequence[Path], start: Callable[[], subprocess.Popen[bytes]]) -> None:
        try:
            _show(shown)
            kernel.limit_capabilities()
            kernel.become(*user)
            kernel.renounce()
            self._answer = start()
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is waited for
            self._answer = error
        self._answered.set()
        if isinstance(self._answer, subprocess.Popen):
            self._over.wait()


def _show(shown: Sequence[Path]) -> None:
    kernel.unshare(kernel.NEW_MOUNTS)
    kernel.mount("none", "/", None, kernel.RECURSIVE | kernel.PRIVATE)
    kernel.mount("none", STAGE, "tmpfs", kernel.NO_SETUID | kernel.NO_DEVICES, "mode=755")
    for n, path in enumerate(shown):
        place = seen(n)
        if path.is_dir():
            place.mkdir()
        else:
            place.touch()
        kernel.mount(os.fspath(path), os.fspath(place), None, kernel.BIND | kernel.RECURSIVE)
