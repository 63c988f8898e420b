"""Whoever uses the command line with a stand-in for a server, in an empty directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recast_dm.cli import options, reana
from tests.reana.standin import Standin


def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory; nobody waits long there between two looks at a workflow."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(reana, "POLL", 0.02)
    return here


def join(monkeypatch: pytest.MonkeyPatch, standin: Standin, **more: Any) -> Standin:
    """Makes a stand-in the server of the command line; `more` goes over what the environment says otherwise."""
    mine = replace(options.DEFAULTS, reana=standin.server(), reana_workon=None, **more)
    monkeypatch.setattr(options, "DEFAULTS", mine)
    monkeypatch.setattr(reana, "session", standin.session)
    return standin
