"""What a name means, opened: a capsule, an analysis, a workflow; and, read again, a run or a scan."""

from __future__ import annotations

import atexit
import html
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recast_dm import reinterpret
from recast_dm.api.settings import cache_directory, config
from recast_dm.capsule import open_capsule, packing
from recast_dm.capsule.catalogue import entries, listing
from recast_dm.errors import UsageError
from recast_dm.reinterpret import Subject
from recast_dm.spec import remote, source


@dataclass(frozen=True, slots=True, kw_only=True)
class Preserved:
    """Something that can be run: a capsule, an analysis, or a bare workflow (its `kind`).

    >>> import recast_dm
    >>> toy = recast_dm.load("tests/analyses/toy")
    >>> toy
    <analysis toy: Toy counting experiment>
    >>> toy.signal
    ('m_dm', 'm_med')
    """

    subject: Subject
    kind: str

    @property
    def name(self) -> str:
        return self.subject.name

    @property
    def title(self) -> str:
        return self.subject.title

    @property
    def digest(self) -> str | None:
        """The SHA-256 of a capsule; an analysis that was not captured has none."""
        return self.subject.capsule.digest if self.subject.capsule else None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The init parameters that it was written or captured with."""
        return dict(self.subject.initdata)

    @property
    def signal(self) -> tuple[str, ...]:
        """The init parameters that carry a signal; none where nothing says how a signal enters."""
        analysis = self.subject.analysis
        return tuple(sorted(analysis.signal.init)) if analysis and analysis.signal else ()

    @property
    def published(self) -> tuple[Mapping[str, Any], ...]:
        """The published numbers that it names: model, parameters, quantity, value, tolerance (relative), source."""
        analysis = self.subject.analysis
        return tuple(
            {
                "model": each.model,
                "parameters": dict(each.parameters),
                "quantity": each.quantity,
                "published": each.value,
                "tolerance": each.tolerance,
                "source": each.source,
            }
            for each in (analysis.closure if analysis else ())
        )

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}: {self.title}>"

    def _repr_html_(self) -> str:
        rows = [
            (self.kind, self.name),
            ("title", self.title),
            *([("digest", f"sha256:{self.digest}")] if self.digest else []),
            *((kind, str(value)) for kind, value in self.subject.references.items()),
            ("images", ", ".join(self.subject.workflow.images()) or "none"),
            ("stages", ", ".join(stage.name for stage in self.subject.workflow.stages)),
            ("published numbers", str(len(self.published))),
        ]
        cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows)
        return f"<table>{cells}</table>"


def load(name: str | Path | Preserved, *, example: str | None = None) -> Preserved:
    """Opens a capsule (a directory or one file, checked), an analysis, a `reana.yaml`, a bare workflow; or what the
    catalogue knows by that name. `example` names one of the `example_inputs` of a recast.yml.

    Raises UsageError for what is not there, SpecError with file:line:column, IntegrityError for a damaged capsule.

    >>> load("tests/analyses/nothing")
    Traceback (most recent call last):
    recast_dm.errors.UsageError: tests/analyses/nothing does not exist
      name a directory, or a file, that holds a workflow
    """
    if isinstance(name, Preserved):
        return name
    place = resolved(str(name))
    if packing.is_capsule(Path(place)):
        if example is not None:
            raise UsageError("a capsule brings its own inputs", hint="leave out `example`")
        return Preserved(subject=reinterpret.of_capsule(open_capsule(Path(place), cache_directory())), kind="capsule")
    found = source.open_source(place, example=example)
    initdir = _init_files(found)
    if found.analysis is None:
        return Preserved(subject=reinterpret.of_source(found, initdir), kind=found.kind)
    subject = reinterpret.of_analysis(found.analysis, reinterpret.example_inputs(found.analysis))
    return Preserved(subject=replace(subject, initdir=initdir), kind="analysis")


def resolved(name: str) -> str:
    """A path or an address as it is; any other name as the catalogue has it. Raises UsageError."""
    if remote.is_remote(name) or _exists(name) or _exists(name.rpartition("#")[0]):
        return name
    known = catalogue()
    if not known:
        return name
    try:
        return str(listing.resolve(known, name))
    except UsageError as error:
        raise UsageError(f"there is no such path, and {error.message}", hint=error.hint) from None


def catalogue() -> list[listing.Listed]:
    """Everything that the user's catalogue and RECAST's directories name."""
    return listing.listed(entries.load(config().catalogue), config().recast_catalogues)


def _init_files(found: source.Source) -> Path | None:
    """The init files of a source; those that have to be unpacked or chosen last as long as this process."""
    if not (found.inputarchive or found.chosen):
        return found.initdir
    scratch = tempfile.TemporaryDirectory(prefix="recast-dm-init-")
    atexit.register(scratch.cleanup)
    return source.prepare(found, Path(scratch.name) / "init")


def _exists(name: str) -> bool:
    try:
        return bool(name) and Path(name).exists()
    except (OSError, ValueError):  # too long; a NUL byte
        return False
