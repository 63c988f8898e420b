"""What came back from elsewhere, with the capsule that it is of: the work as it was planned where it was submitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recast_dm.backends import Work
from recast_dm.errors import IntegrityError
from recast_dm.reinterpret.planned import Planned, planned
from recast_dm.reinterpret.subject import Subject


def returned(subject: Subject, work: Work) -> Planned:
    """The plan of work that was executed elsewhere. Raises IntegrityError where it is of another subject.

    Its init files are those that came with it: a capsule that is opened again lacks events from outside.
    """
    about = work.about
    _demand_same(subject, work)
    model, parameters = about.get("model"), dict(about.get("parameters") or {})
    base = planned(subject, model, parameters) if model else planned(subject)
    overrides = {key: value for key, value in work.initdata.items() if not _same(base.work.initdata, key, value)}
    return replace(base, overrides=overrides, work=replace(work, policies=base.work.policies))


def _same(initdata: Mapping[str, Any], key: str, value: Any) -> bool:
    """Whether an init parameter is what it was planned to be: true is not 1."""
    planned_as = initdata.get(key)
    return key in initdata and bool(planned_as == value) and isinstance(planned_as, bool) == isinstance(value, bool)


def _demand_same(subject: Subject, work: Work) -> None:
    """What lies at a server says what it is of; that is believed where the workflow is the same, too."""
    of = {name: work.about.get(name) for name in ("analysis", "capsule")}
    if of != dict(subject.identity):
        raise IntegrityError(
            f"what was submitted is of {_shown(of)}, not of {_shown(subject.identity)}",
            hint="name the capsule that it was submitted from",
        )
    if dict(work.workflow.source) != dict(subject.workflow.source):
        raise IntegrityError(
            f"the workflow that was submitted is another than that of {_shown(subject.identity)}",
            hint="was the analysis changed meanwhile? without a capsule, `download` takes the files all the same",
        )


def _shown(identity: Mapping[str, Any]) -> str:
    digest = identity.get("capsule")
    return f"{identity.get('analysis')}{f' (capsule {str(digest)[:12]})' if digest else ''}"
