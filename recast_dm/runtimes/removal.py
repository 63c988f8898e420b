"""Removes what has ended while other things go on: several with one command, and nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence


class Removal:
    """Calls `remove` with what is to go. Python does not end before everything is gone.

    >>> gone = []
    >>> removal = Removal(gone.extend)
    >>> removal.add("a"); removal.finish(); gone
    ['a']
    """

    def __init__(self, remove: Callable[[Sequence[str]], object]) -> None:
        self._remove = remove
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._thread: threading.Thread | None = None

    def add(self, name: str) -> None:
        """Has something removed soon."""
        with self._lock:
            self._waiting.append(name)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="removal")
                self._thread.start()

    def finish(self) -> None:
        """Waits until what was added is gone."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                names, self._waiting = self._waiting, []
                if not names:
                    self._thread = None
                    return
            self._remove(names)
