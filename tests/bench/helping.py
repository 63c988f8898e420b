"""How long `--help` takes, ours and others'."""

from recast_dm.backends import tool_environment
from tests.bench.timing import BIN, LOCKS, TOOLS, median, quiet, table


def measure() -> None:
    yadage = tool_environment.ensure("yadage", LOCKS / "tool-yadage.txt", TOOLS, build=LOCKS / "tool-build.txt")
    ours = median(quiet(BIN / "recast-dm", "--help"))
    peers = {
        "`yadage-run --help`": median(quiet(yadage.parent / "yadage-run", "--help")),
        "`pyhf --help`": median(quiet(BIN / "pyhf", "--help")),
    }
    rows = [("`recast-dm --help`", f"{ours:.2f}", "1")]
    rows += [(name, f"{seconds:.2f}", f"{seconds / ours:.1f}") for name, seconds in peers.items()]
    table("Help", ("command", "s", "times ours"), rows)
