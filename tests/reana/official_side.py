"""Runs in the official client's environment: its command lines, one after the other, in one process.

Each line on standard input is `{"words": [...], "workdir": DIR}`; for each there is a line `{"code", "out"}`.
"""

import json
import os
import sys

from click.testing import CliRunner
from reana_client.cli import cli


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        os.chdir(asked["workdir"])
        os.environ.update(asked.get("environment", {}))
        done = CliRunner().invoke(cli, asked["words"], catch_exceptions=True)
        said = done.output + (f"\n{done.exception!r}" if done.exception else "")
        answers.write(json.dumps({"code": done.exit_code, "out": said}) + "\n")
        answers.flush()


main()
