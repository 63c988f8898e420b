"""Where an analysis comes from: its git history as a bundle, and the names that archives of software know it by.

SWHIDs are those of Software Heritage (ISO/IEC 18670): for a git repository, git's own ids of the commit and of the
directory.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

from recast_dm import config
from recast_dm.errors import IntegrityError

LARGEST_TEXT = 1024**2
SHA1 = 40
"""Digits of git's usual names of things."""
SAFE = {"safe.directory": "*", "core.fsmonitor": "false", "protocol.allow": "never"}
"""A repository may belong to somebody else, and is only read: its configuration names no monitor of files that is
started, and nothing is fetched that a partial clone lacks."""


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
    def swhid(self) -> str | None:
        """The commit's."""
        return _swhid("rev", self.commit)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """What the commit is known by."""
        return (self.swhid, self.commit) if self.swhid else (self.commit,)

    def document(self, bundle: str | None, bundled: str | None) -> dict[str, Any]:
        """What a capsule says of it: `bundled` is the last commit in the bundle."""
        return {
            "commit": self.commit,
            "swhid": self.swhid,
            "directory_swhid": _swhid("dir", self.directory),
            "path": self.path,
            "origin": self.origin,
            "dirty": list(self.dirty),
            "bundle": bundle,
            "bundled_commit": bundled,
        }


def _swhid(kind: str, name: str | None) -> str | None:
    """SWHIDs hold SHA-1s: a repository of git's newer SHA-256 format has none.

    >>> _swhid("rev", 40 * "0")[:14], _swhid("rev", 64 * "0"), _swhid("dir", None)
    ('swh:1:rev:0000', None, None)
    """
    return f"swh:1:{kind}:{name}" if name and len(name) == SHA1 else None


def source_of(directory: Path) -> Source | None:
    """The repository that a directory lies in; None when there is none, or no commit, or no git."""
    top = _git(directory, "rev-parse", "--show-toplevel")
    commit = _git(directory, "rev-parse", "--verify", "HEAD")
    if not top or not commit:
        return None
    if not directory.resolve().is_relative_to(Path(top).resolve()):
        return None  # its configuration names another working tree
    path = directory.resolve().relative_to(Path(top).resolve()).as_posix()
    words = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=dirty")
    changed = _git(directory, *words, "--", ".")
    if changed is None:
        raise IntegrityError(f"`git status` failed in {directory}", hint="does it work there by hand?")
    return Source(
        top=Path(top),
        commit=commit,
        path=path,
        directory=_git(directory, "rev-parse", "--verify", f"{commit}:{'' if path == '.' else path}") or None,
        origin=_without_secrets(_git(directory, "remote", "get-url", "origin") or ""),
        dirty=tuple(row[3:] for row in changed.split("\0") if row),
        shallow=_git(directory, "rev-parse", "--is-shallow-repository") == "true" or _is_partial(directory),
    )


def _is_partial(directory: Path) -> bool:
    """Whether a clone leaves some of its history with a remote."""
    return bool(_git(directory, "config", "--get-regexp", r"^remote\..*\.promisor$"))


@dataclass(frozen=True, slots=True)
class History:
    """The history of an analysis, in a repository that holds nothing else. `commit` is the last of it."""

    repository: Path
    commit: str

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """Every text in it, by the path it had and its object's id: also those that were deleted since."""
        listed = _demand(self.repository, "rev-list", "--objects", self.commit).splitlines()
        names = dict(line.partition(" ")[::2] for line in listed)
        wanted = self._small(names)
        with self._objects("--batch", wanted) as out:
            for name, kind in wanted.items():
                size = int(out.readline().split()[2])
                data = out.read(size)
                out.read(1)
                if kind == "commit":
                    yield f"commit {name[:12]}", data
                elif b"\0" not in data[:8192]:
                    yield f"{names[name] or 'history'}@{name[:12]}", data

    def _small(self, names: Iterable[str]) -> dict[str, str]:
        """The commits, and the files that may be texts, with what they are."""
        found = {}
        with self._objects("--batch-check", names) as out:
            for name in names:
                kind, size = out.readline().decode().split()[-2:]
                if kind == "commit" or (kind == "blob" and int(size) <= LARGEST_TEXT):
                    found[name] = kind
        return found

    @contextlib.contextmanager
    def _objects(self, form: str, names: Iterable[str]) -> Iterator[IO[bytes]]:
        """What git says of objects, one after the other."""
        argv = ["git", "-C", str(self.repository), "cat-file", form]
        with tempfile.TemporaryFile() as asked:
            asked.write("".join(f"{name}\n" for name in names).encode())
            asked.seek(0)
            with subprocess.Popen(argv, stdin=asked, stdout=subprocess.PIPE, env=_environment()) as process:
                assert process.stdout is not None  # noqa: S101  # it was asked for
                try:
                    yield process.stdout
                finally:
                    process.kill()  # who reads no further needs no more

    def bundle(self, target: Path) -> None:
        """Writes it as a git bundle. Raises IntegrityError when git cannot, or cannot read it again."""
        _demand(self.repository, "-c", "pack.threads=1", "bundle", "create", "--quiet", str(target.absolute()), "HEAD")
        said = _demand(self.repository, "bundle", "list-heads", str(target.absolute()))
        if self.commit not in said:
            raise IntegrityError(f"the git bundle {target.name} lacks its commit {self.commit[:12]}")


@contextlib.contextmanager
def history(source: Source) -> Iterator[History]:
    """The history that goes into a capsule.

    Of an analysis that is a repository, all of it. Of one that is a directory in a larger repository, the commits that
    touched the directory, with its tree as theirs and the id that they had in their message: what else the repository
    holds is nobody's business, and the directory's own SWHID stays what it was.
    """
    if source.path == ".":
        yield History(source.top, source.commit)
        return
    with tempfile.TemporaryDirectory(prefix="recast-dm-history-") as place:
        repository = Path(place)
        form = "sha1" if len(source.commit) == SHA1 else "sha256"
        _demand(repository, "init", "--quiet", "--bare", "--initial-branch=main", f"--object-format={form}")
        objects = _demand(source.top, "rev-parse", "--path-format=absolute", "--git-path", "objects").strip()
        (repository / "objects/info/alternates").write_text(f"{objects}\n")
        _demand(repository, "fast-import", "--quiet", "--force", text=b"".join(_rewritten(source)))
        yield History(repository, _demand(repository, "rev-parse", "HEAD").strip())


def _rewritten(source: Source) -> Iterator[bytes]:
    """The commits that touched the directory, for `git fast-import`: each with the directory's tree as its own."""
    empty = _demand(source.top, "hash-object", "-t", "tree", "--stdin").strip()
    words = ("rev-list", "--reverse", "--topo-order", "--parents", source.commit, "--", f":(top){source.path}")
    marks: dict[str, int] = {}
    for line in _demand(source.top, *words).splitlines():
        commit, *parents = line.split()
        marks[commit] = len(marks) + 1
        tree = _git(source.top, "rev-parse", "--verify", "--quiet", f"{commit}:{source.path}") or empty
        head, _, message = _demand_bytes(source.top, "cat-file", "commit", commit).partition(b"\n\n")
        said = dict(row.split(b" ", 1) for row in head.splitlines() if row.startswith((b"author ", b"committer ")))
        message = message.rstrip(b"\n") + b"\n\nOriginal-commit: " + commit.encode() + b"\n"
        yield f"commit refs/heads/main\nmark :{marks[commit]}\n".encode()
        yield b"author " + said[b"author"] + b"\ncommitter " + said[b"committer"] + b"\n"
        yield f"data {len(message)}\n".encode() + message
        for number, parent in enumerate(parent for parent in parents if parent in marks):
            yield f"{'merge' if number else 'from'} :{marks[parent]}\n".encode()
        yield f'M 040000 {tree} ""\n\n'.encode()


def _without_secrets(address: str) -> str | None:
    """The address of a repository without the login that may stand in it.

    >>> _without_secrets("https://ada:token@example.org/group/search.git")
    'https://example.org/group/search.git'
    """
    if "://" not in address:
        return address or None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
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


def _demand(directory: Path, *words: str, text: bytes = b"") -> str:
    return os.fsdecode(_demand_bytes(directory, *words, text=text))


def _demand_bytes(directory: Path, *words: str, text: bytes = b"") -> bytes:
    """What git says. Raises IntegrityError when it says no."""
    argv = ("git", "-C", str(directory), *words)
    done = subprocess.run(argv, input=text, capture_output=True, check=False, env=_environment())
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise IntegrityError(f"`git {words[0]}` failed in {directory}: {said[-1] if said else 'no message'}")
    return done.stdout


def _environment() -> dict[str, str]:
    """git without the user's questions, and without a lock on a repository that is only read."""
    kept = {key: value for key, value in config.environment().items() if not key.startswith("GIT_")}
    safe = {"GIT_CONFIG_COUNT": str(len(SAFE))}
    for number, (key, value) in enumerate(SAFE.items()):
        safe |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    more = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    return {**kept, **safe, **more}
