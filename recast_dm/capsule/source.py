"""Where an analysis comes from: its git history as a bundle, and the names that archives of software know it by.

SWHIDs are those of Software Heritage (ISO/IEC 18670): for a git repository, git's own ids of the commit and of the
directory.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from recast_dm import config
from recast_dm.errors import IntegrityError

LARGEST_TEXT = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A git repository that holds an analysis. `path` is that of the analysis in it, `dirty` what is not committed."""

    top: Path
    commit: str
    path: str
    directory: str | None
    origin: str | None
    dirty: tuple[str, ...]
    shallow: bool

    @property
    def swhid(self) -> str:
        """The commit's."""
        return f"swh:1:rev:{self.commit}"

    def document(self, bundle: str | None) -> dict[str, Any]:
        """What a capsule says of it.

        The directory's SWHID is that of what was committed.
        """
        return {
            "commit": self.commit,
            "swhid": self.swhid,
            "directory_swhid": f"swh:1:dir:{self.directory}" if self.directory else None,
            "path": self.path,
            "origin": self.origin,
            "dirty": list(self.dirty),
            "bundle": bundle,
        }


def source_of(directory: Path) -> Source | None:
    """The repository that a directory lies in; None when there is none, or no commit, or no git."""
    top = _git(directory, "rev-parse", "--show-toplevel")
    commit = _git(directory, "rev-parse", "--verify", "HEAD")
    if not top or not commit:
        return None
    path = directory.resolve().relative_to(Path(top).resolve()).as_posix()
    changed = _git(directory, "-c", "core.quotePath=false", "status", "--porcelain", "--untracked-files=all", "--", ".")
    return Source(
        top=Path(top),
        commit=commit,
        path=path,
        directory=_git(directory, "rev-parse", "--verify", f"{commit}:{'' if path == '.' else path}") or None,
        origin=_without_secrets(_git(directory, "remote", "get-url", "origin") or ""),
        dirty=tuple(line[3:] for line in (changed or "").splitlines()),
        shallow=_git(directory, "rev-parse", "--is-shallow-repository") == "true",
    )


def bundle(source: Source, target: Path) -> None:
    """Writes the history that leads to the commit. Raises IntegrityError when git cannot, or cannot read it again."""
    _demand(source.top, "-c", "pack.threads=1", "bundle", "create", "--quiet", str(target.absolute()), "HEAD")
    said = _demand(source.top, "bundle", "list-heads", str(target.absolute()))
    if source.commit not in said:
        raise IntegrityError(f"the git bundle of {source.top} lacks its commit {source.commit[:12]}")


def history(source: Source) -> Iterator[tuple[str, bytes]]:
    """Every text that the bundle holds, by the path it had: also those that were deleted since."""
    listed = _demand(source.top, "rev-list", "--objects", "--no-object-names", "HEAD").split()
    names = dict(_names(source))
    argv = ["git", "-C", str(source.top), "cat-file", "--batch"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_environment()) as process:
        assert process.stdin is not None  # noqa: S101  # it was asked for
        assert process.stdout is not None  # noqa: S101
        for each in listed:
            process.stdin.write(f"{each}\n".encode())
            process.stdin.flush()
            _, kind, size = process.stdout.readline().decode().split()
            data = process.stdout.read(int(size))
            process.stdout.read(1)
            if kind == "blob" and int(size) <= LARGEST_TEXT and b"\0" not in data[:8192]:
                yield f"{names.get(each, 'history')}@{each[:12]}", data
            elif kind == "commit":
                yield f"commit {each[:12]}", data


def _names(source: Source) -> Iterator[tuple[str, str]]:
    for line in _demand(source.top, "-c", "core.quotePath=false", "rev-list", "--objects", "HEAD").splitlines():
        name, _, path = line.partition(" ")
        if path:
            yield name, path


def _without_secrets(address: str) -> str | None:
    """The address of a repository without the login that may stand in it.

    >>> _without_secrets("https://ada:token@example.org/group/search.git")
    'https://example.org/group/search.git'
    """
    if "://" not in address:
        return address or None
    parts = urlsplit(address)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def _git(directory: Path, *words: str) -> str | None:
    """What git says, or None when it says no."""
    try:
        done = subprocess.run(
            ("git", "-C", str(directory), *words), capture_output=True, check=False, env=_environment(), timeout=120
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return os.fsdecode(done.stdout).rstrip("\n") if done.returncode == 0 else None


def _demand(directory: Path, *words: str) -> str:
    done = subprocess.run(("git", "-C", str(directory), *words), capture_output=True, check=False, env=_environment())
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise IntegrityError(f"`git {words[0]}` failed in {directory}: {said[-1] if said else 'no message'}")
    return os.fsdecode(done.stdout)


def _environment() -> dict[str, str]:
    """git without the user's questions, and without a lock on a repository that is only read."""
    kept = {key: value for key, value in config.environment().items() if not key.startswith("GIT_")}
    safe = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
    return {**kept, **safe, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
