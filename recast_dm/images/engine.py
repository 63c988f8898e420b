"""The images of a container engine of this machine: `docker` and `podman` save and load them alike."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from recast_dm import config, store
from recast_dm.errors import RecastError, StorageError, ToolMissing, last_words, storage_error
from recast_dm.images import archive
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored, settings_of
from recast_dm.model import Image

ENGINES = ("docker", "podman")
FORMS = "docker, podman, sandbox, registry[:HOST], oci:DIRECTORY, docker-archive:FILE"
"""What a user may name as a source of images."""
FULL = 64 * 1024
"""Free bytes below which a disk is full, whatever the engine says."""


def command(engine: str) -> tuple[str, ...]:
    """The words that reach an engine and its images: what every command of it begins with."""
    return ("podman", "--log-level", "error", *_podman_store()) if engine == "podman" else (engine,)


@cache
def _podman_store() -> tuple[str, ...]:
    """An ordinary user's podman may choose the driver `vfs` for a store that it makes, with which every start copies
    the image: 15 s. So the driver is chosen before there is a store, and found in one that there is.
    """
    return store_words(config.environment()) if os.geteuid() != 0 else ()


def store_words(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The driver of the caller's store, where the caller has not chosen it, and it works."""
    home = Path(environ.get("HOME", "/"))
    settings = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers/storage.conf"
    place = Path(environ.get("XDG_DATA_HOME") or home / ".local/share") / "containers/storage"
    words = ("--storage-driver", "overlay")
    if "STORAGE_DRIVER" in environ or settings.exists():
        return ()
    if (place / "overlay-images").exists():
        return words
    if (place / "vfs-images").exists():
        return ()
    return words if _answers(("podman", *words, "ps", "--quiet")) else ()


def _answers(argv: Sequence[str]) -> bool:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def looked_up(engine: str, reference: str) -> dict[str, Any] | None:
    """What an engine says of an image; None when there is none of that name."""
    argv = (*command(engine), "image", "inspect", reference)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    except FileNotFoundError:
        hint = f"--images names another source: {FORMS}"
        raise ToolMissing(f"the command `{engine}` is not installed", hint=hint) from None
    except subprocess.TimeoutExpired:
        raise ToolMissing(f"{engine} does not answer") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").lower()
        if "no such image" in said or "not known" in said:
            return None
        raise ToolMissing(f"{engine} cannot look up {reference}: {last_words(done.stderr)}")
    try:
        document = json.loads(done.stdout)[0]
        image_id = str(document["Id"])
    except (ValueError, LookupError, TypeError):
        raise ToolMissing(f"{engine} says of {reference} what is not understood here") from None
    return {**document, "Id": image_id if image_id.startswith("sha256:") else f"sha256:{image_id}"}


def claimed(document: Mapping[str, Any], reference: str) -> str | None:
    """The digest that a registry gave an image: in the repository that the reference names, or in any other.

    >>> claimed({"RepoDigests": ["a/x@sha256:1", "b/x@sha256:1"]}, "b/x:2.0")
    'b/x@sha256:1'
    """
    from recast_dm.images.registry import repository  # with requests, which a run without a registry does not need

    # podman gives a digest to what never saw a registry
    given = [str(each) for each in document.get("RepoDigests") or () if not str(each).startswith("localhost/")]
    own = [each for each in given if each.partition("@")[0] == repository(reference)]
    return next(iter(own or given), None)


def image_of(reference: str, document: Mapping[str, Any]) -> Image:
    """The image that an engine describes; docker and podman use the same words."""
    variant = f"/{document['Variant']}" if document.get("Variant") else ""
    return Image(
        reference=reference,
        image_id=document["Id"],
        diff_ids=tuple(document["RootFS"]["Layers"]),
        platform=f"{document['Os']}/{document['Architecture']}{variant}",
        registry_digest=claimed(document, reference),
        config=settings_of(document.get("Config") or {}),
    )


def saved(engine: str, references: Sequence[str], place: Path) -> contextlib.AbstractContextManager[archive.Archive]:
    """The images of an engine, as an archive that lasts as long as the context."""
    return _saved((*command(engine), "save", *_form(engine, references)), place)


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
    message = f"`{argv[0]} save` failed: {last_words(said)}"
    if b"no space left" in said.lower() or shutil.disk_usage(place).free < FULL:
        return StorageError(message, hint="free some space, or name another place with RECAST_DM_CACHE_DIR")
    return ToolMissing(message)


def load(engine: str, root: Path, images: Sequence[Stored], names: Sequence[Sequence[str]]) -> None:
    """Gives images of an OCI layout to an engine, each with names that it is to have there.

    The bytes go straight from the layout, hashed on their way. Raises IntegrityError for bytes that have changed: the
    engine then has nothing, for it is told last what the layers are of.
    """
    argv = (*command(engine), "load", "--quiet")
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
        last = last_words(said.read())
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
