"""What `capture` and `cp` share: an analysis captured as the options say, and where image layers are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.cli import execution, options, view
from recast_dm.cli.progress import Shown
from recast_dm.images.blobs import Blobs
from recast_dm.reinterpret import capturing
from recast_dm.reinterpret.capturing import Asked, Means
from recast_dm.spec import analysis as analyses


@dataclass(frozen=True, slots=True)
class Preserved:
    """A capsule that was written: where, and its manifest."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def size(self) -> int:
        """In bytes."""
        files = [self.path] if self.path.is_file() else [file for _, file in store.walk(self.path)]
        return sum(file.stat().st_size for file in files)


def preserve(word: str, output: Path, settings: execution.Settings, asked: Asked, observer: Shown) -> Preserved:
    """Captures the analysis that a word means. Its images come from where the user says, else from the runtime."""
    analysis = analyses.load(capturing.directory_of(word, options.DEFAULTS))
    runtime = execution.runtime_for(analysis.workflow, settings)
    means = Means(
        config=options.DEFAULTS,
        runtime=runtime,
        backend=execution.local(runtime, settings),
        directory=options.run_directory(settings.workdir),
        observer=observer,
        told=view.say,
        counted=observer.count,
    )
    try:
        return Preserved(output, capturing.preserve(analysis, output, asked, means))
    finally:
        if asked.performed:
            options.link_latest(means.directory)


@contextmanager
def shared_blobs() -> Iterator[Blobs]:
    """The image layers that all capsules of this user share."""
    with capturing.shared_blobs(options.DEFAULTS) as shared:
        yield shared
