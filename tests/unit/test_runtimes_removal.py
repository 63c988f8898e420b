"""What has ended is removed behind everybody's back, and never forgotten."""

import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from recast_dm.runtimes.removal import Removal


def test_what_comes_meanwhile_goes_together() -> None:
    seen: list[list[str]] = []
    go = threading.Event()

    def remove(names: Sequence[str]) -> None:
        go.wait(10)
        seen.append([*names])

    removal = Removal(remove)
    removal.add("a")
    time.sleep(0.05)
    for name in "bcd":
        removal.add(name)
    go.set()
    removal.finish()
    assert seen == [["a"], ["b", "c", "d"]]


def test_nobody_waits_for_it() -> None:
    go = threading.Event()
    removal = Removal(lambda _: go.wait(10))
    began = time.monotonic()
    removal.add("a")
    assert time.monotonic() - began < 5
    go.set()
    removal.finish()


def test_many_threads_lose_none() -> None:
    seen: list[str] = []
    removal = Removal(seen.extend)
    threads = [
        threading.Thread(target=lambda n=n: [removal.add(f"{n}.{i}") for i in range(200)])  # type: ignore[misc]
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    removal.finish()
    assert sorted(seen) == sorted(f"{n}.{i}" for n in range(8) for i in range(200))


def test_python_does_not_end_before() -> None:
    script = (
        "import time; from recast_dm.runtimes.removal import Removal; "
        "Removal(lambda names: (time.sleep(0.3), print(*names, flush=True))).add('gone')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "gone\n"
