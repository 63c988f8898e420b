"""`python -m containers.assembler [NAME|DIR...]`: makes the images that are missing or out of date. See build.sh."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from containers.assembler.assembling import Workshop
from containers.assembler.context import directories
from containers.assembler.place import Place
from containers.assembler.saying import say
from recast_dm import runtimes, store
from recast_dm.config import Config
from recast_dm.errors import RecastError, ToolMissing
from recast_dm.images.blobs import Blobs

ROOT = Path(__file__).parents[2]
BUILD = Path("build")


def main(names: Sequence[str]) -> int:
    """Runs in the root of the checkout. Gives the exit code."""
    try:
        make(names, Config.from_environment())
    except RecastError as error:
        say(str(error).replace("\n  ", "\n    "))
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted: what is made already is kept")
        return 130
    return 0


def make(names: Sequence[str], settings: Config, root: Path = ROOT, build: Path = BUILD) -> None:
    """Makes the images of these directories, and gives them to the runtime of the settings."""
    wanted = directories(root, list(names))
    store.make_directory(build)
    with (
        store.alone(build / "images", f"build images in {build}"),  # two at once would do everything twice
        tempfile.TemporaryDirectory(prefix="assembling-", dir=build) as temporary,
    ):
        shared = Blobs(settings.cache_dir / "images")
        with shared.in_use():
            place = _place(settings.runtime, shared)
            workshop = Workshop(root=root, build=build, temporary=Path(temporary), place=place)
            for directory in wanted:
                workshop.image(directory)


def _place(name: str, shared: Blobs) -> Place:
    try:
        runtime = runtimes.find(name)
    except ToolMissing as error:
        hint = (
            f"{error.hint}\nor have it done: containers/engine.sh"
            if error.hint
            else "have it done: containers/engine.sh"
        )
        raise ToolMissing(error.message, hint=hint) from None
    about = runtime.about()
    store = runtimes.store_of(runtime)
    if store is None:
        raise ToolMissing(
            f"the runtime {about.name} keeps no images", hint="name another one: RECAST_DM_RUNTIME=sandbox"
        )
    say(f"for the runtime {about.name}, {about.version}")
    return Place(runtime=runtime, store=store, shared=shared)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
