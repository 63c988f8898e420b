"""Writing a draft: its specification, its Dockerfile, and the files that are copied for them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from recast_dm import store
from recast_dm.capsule.tracing import dockerfile
from recast_dm.capsule.tracing.commands import Traced
from recast_dm.capsule.tracing.draft import Draft
from recast_dm.capsule.tracing.provenance import Machine
from recast_dm.errors import UsageError, storage_error

SCHEMA = "recast-dm/trace/1"
LISTING = "traced.json"


def collect(draft: Draft, into: Path) -> None:
    """Copies what the steps read, now: another run of the script may change it. Never a secret."""
    try:
        for name, source in draft.data.items():
            _copy(source, into / "data" / name)
        for name, source in draft.code.items():
            _copy(source, into / "context" / "here" / name)
        for source in draft.outside:
            _copy(source, into / "context" / "root" / source.lstrip("/"))
    except OSError as error:
        raise storage_error(error, "copy what the script read") from None


def _copy(source: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(0o755 if Path(source).stat().st_mode & 0o100 else 0o644)  # for the container's user


def refuse(target: Path, working: Path) -> None:
    """A draft goes to a new place, outside of what is traced."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} exists already", hint="choose another place with -o, or remove it")
    if target.resolve() == working:
        raise UsageError("a draft cannot lie in the directory that is traced", hint="choose another place with -o")


def write(
    draft: Draft, machine: Machine, traced: Traced, command: Sequence[str], collected: Path, target: Path
) -> dict[str, Any]:
    """Writes the draft to `target`, with what was collected for it, and gives its document (`recast-dm/trace/1`)."""
    document = _document(draft, traced, command, target, collected)
    base = dockerfile.base(draft, machine, dockerfile.release())
    texts = {
        "recast.yml": _recast(draft, command),
        "workflow.yml": "# Drafted from a traced run: stages, and who needs whose files.\n"
        + _yaml({"stages": draft.stages}),
        "steps.yml": "# Drafted from a traced run: {placeholders} are the stages' parameters.\n" + _yaml(draft.steps),
        "Dockerfile": dockerfile.dockerfile(draft, machine, base),
        ".dockerignore": "*\n!context\n!wheels\n!requirements.txt\n",
    }
    if required := dockerfile.requirements(draft):
        texts["requirements.txt"] = required
    try:
        with store.unfinished(target) as temporary:
            shutil.copytree(collected, temporary, dirs_exist_ok=True)
            (temporary / "data").mkdir(exist_ok=True)
            for name, text in texts.items():
                (temporary / name).write_text(text, encoding="utf-8")
            (temporary / LISTING).write_bytes(store.pretty(document))
            if target.is_dir():
                target.rmdir()
            temporary.rename(target)
            store.fsync_directory(target.absolute().parent)
    except OSError as error:
        raise storage_error(error, f"write {target}") from None
    return document


def _recast(draft: Draft, command: Sequence[str]) -> str:
    example: dict[str, Any] = {"initdata": draft.initdata}
    if draft.data:
        example["dataopts"] = {"initdir": "data"}
    document = {
        "name": draft.name,
        "metadata": {"title": f"Drafted from a traced run of {command[0]}", "authors": ["nobody yet"]},
        "spec": {"workflow": "workflow.yml"},
        "example_inputs": {"default": example},
        "results": [{"name": path, "relpath": path} for path in draft.results],
        "reference": [{"path": path, "compare": "exact"} for path in draft.results],
    }
    return "# Drafted from a traced run. What else can stand here: `recast-dm new NAME` writes an example.\n" + _yaml(
        document
    )


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as they are, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text.rstrip("\n") and not any(line != line.rstrip() for line in text.split("\n")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _yaml(document: Any) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def _document(draft: Draft, traced: Traced, command: Sequence[str], target: Path, collected: Path) -> dict[str, Any]:
    packages = [owner for owner in draft.owners if owner.kind == "package"]
    distributions = [owner for owner in draft.owners if owner.kind == "distribution"]
    places = {
        **{source: f"data/{name}" for name, source in draft.data.items()},
        **{source: f"context/here/{name}" for name, source in draft.code.items()},
        **{source: f"context/root{source}" for source in draft.outside},
    }
    set_here = {key for each in traced.commands for key in each.environment}
    return {
        "schema": SCHEMA,
        "draft": str(target),
        "name": draft.name,
        "command": list(command),
        "image": draft.image,
        "stages": [stage["name"] for stage in draft.stages],
        "parameters": draft.initdata,
        "results": draft.results,
        "packages": [
            {"name": owner.name, "version": owner.version} for owner in sorted(packages, key=lambda o: o.name)
        ],
        "distributions": [
            {"name": owner.name, "version": owner.version} for owner in sorted(distributions, key=lambda o: o.name)
        ],
        "copied": [
            {"path": source, "to": to, "size": (collected / to).stat().st_size} for source, to in places.items()
        ],
        "not_copied": [{"path": path, "why": why} for path, why in draft.not_copied.items()],
        "environment": {"inherited": sorted(traced.inherited), "set": sorted(set_here)},
        "left_out": draft.left_out,
        "findings": draft.findings,
    }
