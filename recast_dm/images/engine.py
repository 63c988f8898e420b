"""The images of a container engine of this machine: `docker` and `podman` save and load them alike."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from recast_dm.errors import RecastError, ToolMissing, storage_error
from recast_dm.images import archive
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored

ENGINES = ("docker", "podman")


def saved(engine: str, references: Sequence[str], place: Path) -> contextlib.AbstractContextManager[archive.Archive]:
    """The images of an engine, as an archive that lasts as long as the context."""
    return _saved((engine, "save", *_form(engine, references)), place)


def _form(engine: str, references: Sequence[str]) -> list[str]:
    if engine == "podman":  # several images in one archive, in docker's form
        return ["--format", "docker-archive", "--multi-image-archive", *references]
    return list(references)


@contextlib.contextmanager
def _saved(argv: Sequence[str], place: Path) -> Iterator[archive.Archive]:
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saved-", dir=place) as directory:
        file = Path(directory) / "images.tar"
        try:
            with file.open("wb") as out:
                done = subprocess.run(argv, stdout=out, stderr=subprocess.PIPE, check=False)
        except FileNotFoundError:
            raise ToolMissing(f"the command `{argv[0]}` is not installed") from None
        except OSError as error:
            raise storage_error(error, "save images") from None
        if done.returncode != 0:
            raise ToolMissing(f"`{' '.join(argv[:2])}` failed: {_last(done.stderr)}")
        yield archive.Archive(file)


def load(engine: str, root: Path, images: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
    """Gives images of an OCI layout to an engine, each with names that it is to have there.

    The bytes go straight from the layout, hashed on their way. Raises IntegrityError for bytes that have changed: the
    engine then has nothing, for it is told last what the layers are of.
    """
    argv = (engine, "load", "--quiet")
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
    except FileNotFoundError:
        raise ToolMissing(f"the command `{engine}` is not installed") from None
    assert process.stdin is not None  # noqa: S101  # it was asked for
    problem = _send(process.stdin, lambda out: archive.write(root, images, names, out))
    with process:
        said = process.stderr.read() if process.stderr else b""
        code = process.wait()
    if isinstance(problem, RecastError):
        raise problem
    if code != 0 or problem is not None:
        raise ToolMissing(
            f"`{engine} load` failed: {_last(said)}", hint="is there space for the images, and does the engine answer?"
        )


def _send(stream: IO[bytes], write: Callable[[IO[bytes]], None]) -> Exception | None:
    """Writes to a process, and closes. Gives what went wrong: its own message may say more."""
    try:
        with stream:
            write(stream)
    except (OSError, RecastError) as error:
        return error
    return None


def take(engine: str, references: Sequence[str], shared: Blobs) -> list[Stored]:
    """Keeps images of an engine in `shared`. Raises ToolMissing for one that it has not."""
    with saved(engine, references, shared.root) as found:
        taken = []
        for reference in references:
            entry = found.find(reference)
            if entry is None:
                raise ToolMissing(f"`{engine} save` left out {reference}")
            taken.append(found.take(reference, entry, shared))
        return taken


def _last(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "no message"
