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
from recast_dm.errors import ToolMissing
from recast_dm.images import engine
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.images.rootfs import Rootfs
from recast_dm.model import Image
from recast_dm.runtimes import Job, Limits, Runtime, runner_id

PATIENCE = 1800.0
"""Seconds for the slowest command: pip, on a machine that has much else to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A runtime, by its name, with the blobs that it is given images from."""

    name: str
    runtime: Runtime
    shared: Blobs
    rootfs: Rootfs

    def find(self, reference: str) -> Image | None:
        """The image of that name that the runtime itself has."""
        return self.rootfs.find(reference) if self.name == "sandbox" else self.runtime.image(reference)

    def give(self, stored: Stored, names: Sequence[str]) -> None:
        """Has the runtime keep an image; without names it is found by its id, or by its layers, only."""
        if self.name == "sandbox":
            content = self.shared.path(stored.image.image_id).read_bytes()
            self.rootfs.add(self.shared.root, stored, content, names)
        elif self.name in engine.ENGINES:
            if not names or not self._named(stored.image.image_id, names):
                engine.load(self.name, self.shared.root, [stored], [names])
        else:
            raise ToolMissing(
                f"images cannot be given to the runtime {self.name}",
                hint="name one that takes them: RECAST_DM_RUNTIME=sandbox (or docker, or podman)",
            )

    def _named(self, image_id: str, names: Sequence[str]) -> bool:
        """Whether an engine that has the image already could give it its names: nothing is sent again."""
        words = [(self.name, "tag", image_id, each) for each in names]
        return all(subprocess.run(each, capture_output=True, check=False).returncode == 0 for each in words)

    def forget(self, stored: Stored) -> None:
        """Removes an image that got no name."""
        if self.name == "sandbox":
            return  # `gc` removes trees that nothing names
        subprocess.run((self.name, "rmi", stored.image.image_id), capture_output=True, check=False)

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
