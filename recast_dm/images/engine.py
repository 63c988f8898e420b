"""The images of a container engine of this machine: `docker` and `podman` save and load them alike."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from recast_dm import store
from recast_dm.errors import RecastError, StorageError, ToolMissing, storage_error
from recast_dm.images import archive
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored

ENGINES = ("docker", "podman")
FULL = 64 * 1024
"""Free bytes below which a disk is full, whatever the engine says."""


def saved(engine: str, references: Sequence[str], place: Path) -> contextlib.AbstractContextManager[archive.Archive]:
    """The images of an engine, as an archive that lasts as long as the context."""
    return _saved((engine, "save", *_form(engine, references)), place)


def _form(engine: str, references: Sequence[str]) -> list[str]:
    if engine == "podman":  # several images in one archive, in docker's form
        return ["--format", "docker-archive", "--multi-image-archive", *references]
    return list(references)


@contextlib.contextmanager
def _saved(argv: Sequence[str], place: Path) -> Iterator[archive.Archive]:
    directory = store.make_directory(store.temporary(place / "saved"))  # Blobs.tidy knows it, should we be killed
    try:
        yield archive.Archive(_save(argv, directory))
    finally:
        store.remove(directory)


def _save(argv: Sequence[str], directory: Path) -> Path:
    file = directory / "images.tar"
    try:
        with file.open("wb") as out:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, check=False)
    except FileNotFoundError:
        raise ToolMissing(f"the command `{argv[0]}` is not installed") from None
    except OSError as error:
        raise storage_error(error, f"save images in {directory}") from None
    if done.returncode != 0:
        raise _failed(argv, done.stderr, directory)
    return file


def _failed(argv: Sequence[str], said: bytes, place: Path) -> RecastError:
    message = f"`{' '.join(argv[:2])}` failed: {_last(said)}"
    if b"no space left" in said.lower() or shutil.disk_usage(place).free < FULL:
        return StorageError(message, hint="free some space, or name another place with RECAST_DM_CACHE_DIR")
    return ToolMissing(message)


def load(engine: str, root: Path, images: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
    """Gives images of an OCI layout to an engine, each with names that it is to have there.

    The bytes go straight from the layout, hashed on their way. Raises IntegrityError for bytes that have changed: the
    engine then has nothing, for it is told last what the layers are of.
    """
    argv = (engine, "load", "--quiet")
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
            )
        except FileNotFoundError:
            raise ToolMissing(f"the command `{engine}` is not installed") from None
        with process:
            assert process.stdin is not None  # noqa: S101  # it was asked for
            try:
                problem = _send(process.stdin, lambda out: archive.write(root, images, names, out))
                process.wait()
            except BaseException:  # Ctrl-C: without its images it has no more to do
                process.kill()
                process.wait()
                raise
        said.seek(0)
        last = _last(said.read())
    if isinstance(problem, RecastError):
        raise problem
    if process.returncode != 0 or problem is not None:
        raise ToolMissing(
            f"`{engine} load` failed: {last}", hint="is there space for the images, and does the engine answer?"
        )


def _send(stream: IO[bytes], write: Callable[[IO[bytes]], None]) -> Exception | None:
    """Writes to a process, and closes. Gives what went wrong: its own message may say more."""
    try:
        with stream:
            write(stream)
    except (OSError, RecastError) as error:
        return error
    return None


def take(engine: str, references: Sequence[str], shared: Blobs, ids: Mapping[str, str] | None = None) -> list[Stored]:
    """Keeps images of an engine in `shared`. Raises ToolMissing for one that it has not.

    `ids` are their ids, where they are known: an archive holds an image that is named by its digest without a name.
    """
    with saved(engine, references, shared.root) as found:
        entries = {}
        for reference in references:
            entry = found.find(reference) or found.find((ids or {}).get(reference, reference))
            if entry is None:
                raise ToolMissing(f"`{engine} save` left out {reference}")
            entries[reference] = entry
        return list(found.take(entries, shared).values())


def _last(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "no message"
