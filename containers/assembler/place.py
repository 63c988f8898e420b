"""The runtime that gets the images: how they come in, and how a command runs in them before they have a name."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from recast_dm import config
from recast_dm.images import engine
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.images.stores import Store
from recast_dm.model import Image
from recast_dm.runtimes import Job, Limits, Runtime, Unpacking, runner_id

PATIENCE = 1800.0
"""Seconds for the slowest command: pip, on a machine that has much else to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A runtime and its store of images, with the blobs that it is given images from."""

    runtime: Runtime
    store: Store
    shared: Blobs

    def find(self, reference: str) -> Image | None:
        """The image of that name that the runtime's own store has."""
        return (
            self.runtime.images.find(reference)
            if isinstance(self.runtime, Unpacking)
            else self.runtime.image(reference)
        )

    def give(self, stored: Stored, names: Sequence[str]) -> None:
        """Has the runtime keep an image; without names it is found by its id only."""
        if not self._named(stored.image.image_id, names):
            self.store.give(self.shared.root, [stored], [names])

    def _named(self, image_id: str, names: Sequence[str]) -> bool:
        """Whether an engine that has the image already could give it its names: nothing is sent again."""
        words = [("tag", image_id, each) for each in names] if self.store.name in engine.ENGINES else []
        return bool(words) and all(self._engine(*each) for each in words)

    def forget(self, stored: Stored) -> None:
        """Removes an image that got no name; what is unpacked and has none is removed by `gc`."""
        if self.store.name in engine.ENGINES:
            self._engine("rmi", stored.image.image_id)

    def _engine(self, *words: str) -> bool:
        done = subprocess.run((*engine.command(self.store.name), *words), capture_output=True, check=False)
        return done.returncode == 0

    def run(
        self, image: Image, argv: Sequence[str], temporary: Path, *, context: Path | None = None, **env: str
    ) -> tuple[int, Path]:
        """Runs a command in an image: no network, nothing of this machine but TEMPORARY/workdir and the context.

        Gives its exit code, and its log.
        """
        work = temporary / "workdir"
        user = config.container_user()
        for each in (work, work / "tmp"):
            each.mkdir(parents=True, exist_ok=True)
            os.chown(each, *user)
        name = f"recast-dm-assembler-{uuid4().hex[:12]}"
        log = temporary / f"{name}.log"
        job = Job(
            name=name,
            run=name,
            runner=runner_id(),
            image=image,
            argv=tuple(argv),
            workdir=work.absolute(),
            inputs=() if context is None else (context.absolute(),),
            user=user,
            log=log.absolute(),
            env={"TMPDIR": "/workdir/tmp", **env},
            limits=Limits(cpus=float(config.processors())),
            timeout=PATIENCE,
        )
        outcome = self.runtime.run(job, lambda _: None)
        shutil.rmtree(work / "tmp", ignore_errors=True)
        return outcome.exit_code, log


def labels(stored: Stored) -> Mapping[str, str]:
    """What an image's config says of it."""
    return (stored.config.get("config") or {}).get("Labels") or {}
