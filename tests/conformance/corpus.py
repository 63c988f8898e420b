"""The corpus: each directory of `specs/` is a workflow, with what it is started with and what it tests.

    workflow.yml  init.yml  data/ (the initdir, optional)  case.yml (optional)

`case.yml` says which `features` the workflow tests, whether it is executed (`execute`) or only expanded, what it
`needs` (docker), the `deviation` of `deviations.yml` that it shows, whether upstream `refuses` or `fails` on it, and
whether it says something about us only (`only_ours`); a `note` is for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SPECS = Path(__file__).with_name("specs")
DEVIATIONS = Path(__file__).with_name("deviations.yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    directory: Path
    features: tuple[str, ...] = ()
    execute: bool = False
    deviation: str | None = None
    upstream: str | None = None
    needs: tuple[str, ...] = ()
    only_ours: bool = False
    note: str = ""

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def workflow(self) -> Path:
        return self.directory / "workflow.yml"

    @property
    def initdata(self) -> dict[str, Any]:
        initdata: dict[str, Any] = yaml.safe_load((self.directory / "init.yml").read_text())
        return initdata

    @property
    def initdir(self) -> Path | None:
        data = self.directory / "data"
        return data if data.is_dir() else None


def read(directory: Path) -> Case:
    path = directory / "case.yml"
    said: Mapping[str, Any] = (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}
    lists = {key: tuple(said[key]) for key in ("features", "needs") if key in said}
    return Case(directory=directory, **{**said, **lists})


def cases() -> tuple[Case, ...]:
    return tuple(read(directory) for directory in sorted(SPECS.iterdir()) if directory.is_dir())


@dataclass(frozen=True, slots=True)
class Deviation:
    """What differs on purpose: what we do, and what upstream does; `always`, where a spec has it, or by chance."""

    ours: str
    upstream: str
    always: bool = True


def deviations() -> dict[str, Deviation]:
    said: dict[str, dict[str, Any]] = yaml.safe_load(DEVIATIONS.read_text())
    return {name: Deviation(**entry) for name, entry in said.items()}
