"""A scan, or one point of one, as what an export starts from: the document, and the run directory where it still is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recast_dm import schemas, store
from recast_dm.errors import UsageError

FILE = "scan.json"
"""What `scan` and `contour` leave in their run directory."""
RESULT = "result.json"
"""What `rerun` leaves in its own."""
ROUNDS = "rounds"
"""Below it, a `contour` has a run for each time that it chose points."""
_CHECKED_BY = {"recast-dm/scan/1": "scan-1", "recast-dm/limit/1": "limit-1"}
_OF_THE_WHOLE = ("analysis", "capsule", "model", "images", "run_dir", "overrides")
_PERHAPS = ("title", "references", "order", "luminosity_fb", "sqrt_s_tev")
_NOT_THE_POINTS = frozenset({"schema", "steps", "plots", *_OF_THE_WHOLE, *_PERHAPS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure that has been drawn: PNG bytes, its name, and what it shows in a sentence or two."""

    name: str
    caption: str
    png: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A scan document (`recast-dm/scan/1`); `directory` is the run's, None where it is not on this machine."""

    document: Mapping[str, Any]
    place: Path
    directory: Path | None = None
    pictures: tuple[Picture, ...] = field(default=(), repr=False)

    @property
    def points(self) -> list[Mapping[str, Any]]:
        return list(self.document["points"])

    @property
    def done(self) -> list[Mapping[str, Any]]:
        """The points that have a limit."""
        return [point for point in self.points if point["status"] == "done"]

    @property
    def axes(self) -> tuple[str, ...]:
        """The parameters that the points differ in: those of the grid, or of the contour, or else what varies."""
        grid = self.document.get("grid")
        if grid:
            return tuple(grid)
        contour = self.document.get("contour")
        return tuple(contour["axes"]) if contour else tuple(self._varying())

    @property
    def fixed(self) -> Mapping[str, float]:
        """The parameters that every point shares."""
        first = self.points[0]["parameters"] if self.points else {}
        return {name: value for name, value in first.items() if name not in self.axes}

    def _varying(self) -> Iterator[str]:
        parameters = [point["parameters"] for point in self.points]
        names = tuple(parameters[0]) if parameters else ()
        varying = [name for name in names if len({point[name] for point in parameters}) > 1]
        yield from varying or names


def holds(place: Path) -> bool:
    """Whether a path is a scan or a limit: such a document, or a run directory with one."""
    return document_file(place) is not None


def read(place: Path) -> Scan:
    """The scan that a run directory or a document holds; the one point of a `rerun` is a scan of one.

    Raises UsageError when it is none, IntegrityError when it is damaged.
    """
    file = document_file(place)
    if file is None:
        raise UsageError(f"{place} is no scan", hint=f"name a run directory of `scan`, or its {FILE}")
    document = document_of(file)
    return replace(of_document(document, run_directory(file, document)), place=place)


def of_document(document: Mapping[str, Any], directory: Path | None = None) -> Scan:
    """The scan of a document that was checked; `directory` is that of its run."""
    whole = of_limit(document) if document["schema"] == "recast-dm/limit/1" else document
    return Scan(document=whole, place=directory or Path(FILE), directory=directory)


def of_limit(limit: Mapping[str, Any]) -> dict[str, Any]:
    """The document of one point (`recast-dm/limit/1`) as a scan of that point alone. UsageError without a model."""
    if limit["model"] is None:
        raise UsageError("this limit is for no signal model", hint="`recast-dm rerun` sets one for a model")
    point = {name: value for name, value in limit.items() if name not in _NOT_THE_POINTS}
    parameters = limit["parameters"]
    return {
        "schema": "recast-dm/scan/1",
        **{name: limit[name] for name in _OF_THE_WHOLE},
        "title": limit.get("title") or limit["analysis"],
        "references": limit.get("references") or {},
        "order": limit.get("order") or "",
        "luminosity_fb": limit.get("luminosity_fb"),
        "sqrt_s_tev": limit.get("sqrt_s_tev"),
        "grid": {name: [value] for name, value in parameters.items() if name.startswith("m_")},
        "fixed": {name: value for name, value in parameters.items() if not name.startswith("m_")},
        "points": [{"status": "done", "reason": None, **point, "parameters": parameters}],
        "closure": [
            {"model": limit["model"], "parameters": parameters, **closure} for closure in limit.get("closure", ())
        ],
        "k_factor": None,
        "spot_check": None,
        "contour": None,
    }


def document_file(place: Path) -> Path | None:
    """The document that a path is, or that a run directory holds; None where there is none."""
    if place.is_dir():
        return next((file for name in (FILE, RESULT) if _schema(file := place / name) in _CHECKED_BY), None)
    return place if place.suffix == ".json" and _schema(place) in _CHECKED_BY else None


def _schema(file: Path) -> str | None:
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return document.get("schema") if isinstance(document, dict) else None


def document_of(file: Path) -> dict[str, Any]:
    """A document of a scan or a limit, checked. Raises UsageError for another, IntegrityError for no document."""
    document: Any = store.read_document(file)
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema not in _CHECKED_BY:
        raise UsageError(f"{file} is no scan", hint=f"its schema is {schema!r}, not one of {', '.join(_CHECKED_BY)}")
    if found := schemas.problem(_CHECKED_BY[schema], document):
        path, message = found
        where = "/".join(map(str, path))
        raise UsageError(f"{file} is no {schema}: {message}" + (f" (in {where})" if where else ""))
    return document  # type: ignore[no-any-return]  # the schema's object


def run_directory(file: Path, document: Mapping[str, Any]) -> Path | None:
    """Where the run's files are: beside the document, or where it says that it was."""
    said = document.get("run_dir")
    places = [file.parent, *([Path(said)] if said else [])]
    return next((place for place in places if any((place / name).is_dir() for name in (".records", ROUNDS))), None)
