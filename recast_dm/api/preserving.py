"""Preserving an analysis, and finding out whether what was preserved is still what it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recast_dm.api.opening import Preserved, load
from recast_dm.api.settings import Settings, config
from recast_dm.capsule import packing
from recast_dm.capsule import verify as verification
from recast_dm.capsule.catalogue import naming
from recast_dm.capsule.comparison.compare import Agreement
from recast_dm.capsule.inputs import LARGEST
from recast_dm.capsule.verify import Check
from recast_dm.config import link_latest
from recast_dm.errors import UsageError
from recast_dm.reinterpret import capturing
from recast_dm.reinterpret import verification as starting
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
    means = capturing.Means(
        config=config(),
        runtime=settings.runtime_for(found.workflow),
        backend=settings.backend(found.workflow),
        directory=settings.directory(),
        observer=settings.observer,
        told=settings.told,
    )
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
    wanted = None if digest is None else verification.read_digest(digest)
    place = Path(naming.meant(str(capsule), config()))
    checks = [verification.check_bytes(place, config().writable_cache())]
    outputs: tuple[Agreement, ...] = ()
    if checks[0].ok:
        manifest = packing.read_manifest(place)
        checks += [verification.check_digest(manifest, wanted), *verification.check_structure(place, manifest)]
        if depth == "rerun" and not manifest["reference"]["made"]:
            raise UsageError(f"{place} was captured without a run: there is nothing to compare a rerun with")
    if all(check.ok for check in checks) and depth != "bytes":
        more, outputs = _started(load(place), settings or Settings(), rerun=depth == "rerun")
        checks += more
    return Verified(capsule=place, checks=tuple(checks), outputs=outputs)


# --- how --------------------------------------------------------------------------------------------------------------


def _started(capsule: Preserved, settings: Settings, *, rerun: bool) -> tuple[list[Check], tuple[Agreement, ...]]:
    """What is found by starting something."""
    held = capsule.subject.capsule
    assert held is not None  # noqa: S101  # its bytes were checked
    checks = [verification.check_specification(held.path, held.manifest)]
    runtime = settings.runtime_for(held.analysis.workflow)
    if runtime is not None:
        checks.append(starting.check_images(held, runtime, settings.observer))
    if not rerun or not all(check.ok for check in checks):
        return checks, ()
    directory = settings.directory()
    backend = settings.backend(held.analysis.workflow)
    try:
        _, agreements = starting.rerun(capsule.subject, backend, directory, settings.observer)
    finally:
        link_latest(directory)
    lost = tuple(f"{each.path}: {each.detail or each.measure}" for each in agreements if not each.agrees)
    agreed = sum(each.agrees for each in agreements)
    return [*checks, Check("rerun", f"{agreed} of {len(agreements)} outputs agree", lost)], agreements
