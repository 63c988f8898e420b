"""One command, metered: `python meter.py RESULT SECONDS COMMAND...` writes one JSON object to RESULT.

A small process of its own, because what a process used at its peak includes what its parent used when it was
forked. The CPU time of the command's own process (RUSAGE_SELF, to 10 ms) is read in /proc after its end and before it
is reaped; wait4 then gives the sum with all children that it waited for. The group is killed after SECONDS.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def main(result: str, seconds: str, *command: str) -> None:
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        try:
            os.execvp(command[0], command)
        finally:
            os._exit(127)
    expired = []

    def expire(*_: object) -> None:
        expired.append(True)
        os.killpg(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, float(seconds))
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    signal.setitimer(signal.ITIMER_REAL, 0)
    wall = time.monotonic() - began
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / TICK
    _, status, usage = os.wait4(pid, 0)
    measured = {
        "wall": wall,
        "own": own,
        "children": max(0.0, usage.ru_utime + usage.ru_stime - own),
        "peak_mb": usage.ru_maxrss / 1024,
        "code": os.waitstatus_to_exitcode(status),
        "expired": bool(expired),
    }
    Path(result).write_text(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
