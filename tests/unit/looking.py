"""What the tests of the verbs that look at runs share: the verbs as one command, and three runs."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import localruns
import pytest
import typer

from recast_dm import schemas
from recast_dm.cli import diff, explain, graph, logs, ls, main, status
from recast_dm.errors import StepFailed

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys, tmp_path, monkeypatch) -> Cli:
    """The verbs alone, in an empty current directory; gives the exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    for name, verb in (
        ("status", status.status),
        ("ls", ls.ls),
        ("logs", logs.logs),
        ("explain", explain.explain),
        ("graph", graph.graph),
        ("diff", diff.diff),
    ):
        app.command(name)(verb)
    app.callback()(lambda: None)
    monkeypatch.setattr(sys.modules["recast_dm.cli.main"], "app", app)

    def cli(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return cli


@pytest.fixture
def runs(cli) -> Path:
    """build/runs with `a`, `b` (another mass), `c` (failed), and `latest`, which is `c`."""
    place = Path("build/runs")
    localruns.execute(place / "a", m=1)
    localruns.execute(place / "b", m=2)
    with contextlib.suppress(StepFailed):
        localruns.execute(place / "c", m=2, check="echo bad; exit 3", jobs=1)
    (place / "latest").symlink_to("c")
    return place


def document(cli: Cli, *words: str, code: int = 0) -> dict[str, Any]:
    """The one document that a verb prints, checked against its schema."""
    got, out, err = cli(*words, "--json")
    found: dict[str, Any] = json.loads(out)
    assert (got, err) == (code, "")
    name = found["schema"].removeprefix("recast-dm/").replace("/", "-")
    assert schemas.problem(name, found) is None
    return found


def refused(cli: Cli, *words: str, code: int = 2) -> str:
    """The message of an error: on stderr, and as a document."""
    got, out, err = cli(*words)
    assert (got, out) == (code, "")
    assert err.startswith("error: ")
    got, out, _ = cli(*words, "--json")
    assert got == code
    assert schemas.problem("error-1", json.loads(out)) is None
    return err
