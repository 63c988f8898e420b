"""What a record says of a step, in the words of a crate: its outcome, its times, its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from recast_dm.model import StepId

COMPLETED = "http://schema.org/CompletedActionStatus"
FAILED = "http://schema.org/FailedActionStatus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """One step of a run, or one that failed: then there is no `record`, and `error` says why.

    `began` and `ended` are seconds since 1970, where there is no record; `papers` are the step's log and record, by
    their paths in the crate.
    """

    step: StepId
    record: Mapping[str, Any] | None
    error: str = ""
    began: float | None = None
    ended: float | None = None
    papers: tuple[str, ...] = ()


def moment(seconds: float) -> str:
    """A time as the profile writes it.

    >>> moment(0.5)
    '1970-01-01T00:00:00.500+00:00'
    """
    return _time(seconds).isoformat(timespec="milliseconds")


def outcome(performed: Performed) -> dict[str, Any]:
    began, ended = times(performed)
    failed = performed.record is None
    return {
        "startTime": written(began),
        "endTime": written(ended),
        "actionStatus": FAILED if failed else COMPLETED,
        "error": performed.error if failed else None,
    }


def times(performed: Performed) -> tuple[datetime | None, datetime | None]:
    if performed.record is None:
        began, ended = performed.began, performed.ended
        return None if began is None else _time(began), None if ended is None else _time(ended)
    execution = performed.record["execution"]
    started = at(execution["started"])
    return started, started + timedelta(seconds=execution["seconds"]) if started else None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def at(said: Any) -> datetime | None:
    return datetime.fromisoformat(said) if isinstance(said, str) else None


def written(time: datetime | None) -> str | None:
    return None if time is None else moment(time.timestamp())


def paths(view: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every directory in a parameter as the key has it, with the text behind it."""
    if isinstance(view, list):
        for item in view:
            yield from paths(item)
    elif isinstance(view, Mapping) and "path" in view:
        parts = view["path"]
        for part, behind in zip(parts, [*parts[1:], ""], strict=True):
            if isinstance(part, Mapping):
                yield part, behind if isinstance(behind, str) else ""
    elif isinstance(view, Mapping):
        for item in view.get("mapping", {}).values():
            yield from paths(item)


def bare(view: Any) -> Any:
    """A parameter without paths as it was before the key tagged its mappings."""
    if isinstance(view, list):
        return [bare(item) for item in view]
    if isinstance(view, Mapping):
        return {key: bare(item) for key, item in view.get("mapping", {}).items()}
    return view


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from texts(item)


def kind(value: Any) -> str:
    kinds: Iterable[tuple[type, str]] = ((bool, "Boolean"), (int, "Integer"), (float, "Number"), (str, "Text"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "PropertyValue")
