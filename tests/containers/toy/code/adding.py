"""A program that takes batches: `python3 /opt/toy/code/adding.py [FILE|NUMBER|nap|die] ... --out FILE`.

It writes the sum of what it is given, and says what it does; 7 is refused with exit code 7.
"""

import os
import signal
import time
from pathlib import Path

from recast_dm import batch


def main(argv: list[str]) -> int:
    *terms, option, out = argv
    if option != "--out":
        print("--out FILE is missing")
        return 2
    print("adding", *terms)
    Path("draft").write_text("where the command starts")  # lost: that is no place for outputs
    if "nap" in terms:
        time.sleep(0.4)
    if "die" in terms:
        os.kill(os.getpid(), signal.SIGKILL)
    found = [int(Path(term).read_text()) if "/" in term else int(term) for term in terms if term not in ("nap", "die")]
    if 7 in found:
        print("7 is too much")
        return 7
    Path(out).write_text(f"{sum(found)}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(batch.entry(main))
