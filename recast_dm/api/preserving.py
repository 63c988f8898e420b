"""Preserving an analysis, and finding out whether what was preserved is still what it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recast_dm.api.opening import Preserved, load
from recast_dm.api.settings import Settings, config
from recast_dm.capsule.catalogue import naming
from recast_dm.capsule.comparison.compare import Agreement
from recast_dm.capsule.inputs import LARGEST
from recast_dm.capsule.verify import Check
from recast_dm.config import link_latest
from recast_dm.errors import UsageError
from recast_dm.model import Workflow
from recast_dm.reinterpret import capturing, verification
from recast_dm.reinterpret.capturing import Means
from recast_dm.reinterpret.opening import capsule_at
from recast_dm.spec import analysis as analyses


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What `verify` found: each check with its problems, and (after a rerun) each output beside what it was."""

    capsule: Path
    checks: tuple[Check, ...]
    outputs: tuple[Agreement, ...] = ()

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(f"{check.name}: {problem}" for check in self.checks for problem in check.problems)


def capture(
    analysis: str | Path,
    output: str | Path,
    *,
    performed: bool = True,
    images: tuple[str, ...] = (),
    strict: bool = False,
    allowed: frozenset[str] = frozenset(),
    by_reference: int = LARGEST,
    settings: Settings | None = None,
) -> Preserved:
    """Preserves the analysis in a directory as a capsule (a directory, or one `.capsule.zip` or `.capsule.tar` file).

    `performed` runs it, for reference outputs; `images` say where images are (docker unless told otherwise), `allowed`
    names what only looks like a secret, `strict` refuses what git does not know; inputs of more than `by_reference`
    bytes are kept by hash and address. Raises UsageError for a secret, or when something else is at `output`.
    """
    settings, place = settings or Settings(), Path(output)
    found = analyses.load(capturing.directory_of(str(analysis), config()))
    means = _means(found.workflow, settings)
    asked = capturing.Asked(
        images=images, performed=performed, strict=strict, by_reference=by_reference, allowed=allowed
    )
    try:
        capturing.preserve(found, place, asked, means)
    finally:
        link_latest(means.directory)
    return load(place)


def verify(
    capsule: str | Path,
    *,
    depth: str = "default",
    digest: str | None = None,
    settings: Settings | None = None,
) -> Verified:
    """Whether a capsule is what was captured: its `bytes`; by default also whether its images start; with `rerun`
    also what it gives. `digest` (`sha256:…`) is the one that it must have.

    What is wrong is in the answer; only what makes an answer impossible is raised.
    """
    if depth not in ("bytes", "default", "rerun"):
        raise UsageError(f"there is no depth {depth!r}", hint="bytes, default or rerun")
    place, settings = Path(naming.meant(str(capsule), config())), settings or Settings()
    checks, manifest = verification.sound(place, digest, config())
    outputs: tuple[Agreement, ...] = ()
    if depth == "rerun" and manifest:
        verification.demand_reference(place, manifest)
    held = capsule_at(place, config()) if depth != "bytes" and all(check.ok for check in checks) else None
    if held is not None:
        means = _means(held.analysis.workflow, settings)
        more, outputs = verification.started(held, means, rerun=depth == "rerun")
        checks += more
    return Verified(capsule=place, checks=tuple(checks), outputs=outputs)


def _means(workflow: Workflow, settings: Settings) -> Means:
    return Means(
        config=config(),
        runtime=settings.runtime_for(workflow),
        backend=settings.backend(workflow),
        directory=settings.directory(),
        observer=settings.observer,
        told=settings.told,
    )
