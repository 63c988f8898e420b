"""What a name means, opened: a capsule, an analysis, a workflow; and, read again, a run or a scan."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm.api.settings import Settings, config
from recast_dm.capsule.catalogue import listing, naming
from recast_dm.reinterpret import Subject
from recast_dm.reinterpret.opening import Opening, opened


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


def load(
    name: str | Path | Preserved,
    *,
    example: str | None = None,
    inputs_from: tuple[Path, ...] = (),
    allow_remote: bool = False,
    settings: Settings | None = None,
) -> Preserved:
    """Opens a capsule (a directory or one file, checked), an analysis, a workflow; or what the catalogue calls so.

    `example` names one of the `example_inputs` of a recast.yml, `inputs_from` where inputs lie that a capsule keeps by
    reference; `allow_remote` fetches what lies on servers.

    Raises UsageError for what is not there, SpecError with file:line:column, IntegrityError for a damaged capsule.

    >>> load("tests/analyses/nothing.yml")
    Traceback (most recent call last):
    recast_dm.errors.UsageError: tests/analyses/nothing.yml does not exist
      name a directory, or a file, that holds a workflow
    """
    if isinstance(name, Preserved):
        return name
    opening = Opening(example=example, inputs_from=inputs_from, allow_remote=allow_remote)
    subject = opened(str(name), opening, None, config(), (settings or Settings()).told)
    return Preserved(
        subject=subject, kind="capsule" if subject.capsule else "analysis" if subject.analysis else "workflow"
    )


def catalogue() -> list[listing.Listed]:
    """Everything that the user's catalogue and RECAST's directories name."""
    return naming.known(config())
