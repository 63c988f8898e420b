"""Tables, texts and files become the directory that HEPData takes: written by hepdata_lib, checked by its validator."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast_dm.export.hepdata import library
from recast_dm.export.hepdata.values import Column, Error, Table
from recast_dm.export.scans import Picture

DIGITS = 6
"""Significant digits of what is written: more than any limit is known to."""
THUMBNAIL_WIDTH = 240
"""Pixels, as HEPData's own pages show them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A file or an address that goes with the tables; `content` is None for an address. `kind` as HEPData names it."""

    location: str
    description: str
    content: bytes | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Everything that a submission holds. `records` are the HEPData records that it is related to, by number."""

    abstract: str
    tables: tuple[Table, ...]
    keywords: Mapping[str, Sequence[str | float]]
    resources: tuple[Resource, ...] = ()
    pictures: tuple[Picture, ...] = ()
    records: tuple[int, ...] = ()
    license: Mapping[str, str] = field(default_factory=dict)


def write(submission: Submission, directory: Path) -> None:
    """Writes a submission into an empty directory. Raises IntegrityError when it is not valid."""
    lib = library.hepdata_lib()
    whole = lib.Submission()
    whole.comment = submission.abstract
    for record in submission.records:
        whole.add_related_recid(record)
    for resource in submission.resources:
        whole.add_additional_resource(resource.description, resource.location, file_type=resource.kind or None)
        if resource.content is not None:
            (directory / resource.location).write_bytes(resource.content)
    for picture in submission.pictures:
        (directory / f"{picture.name}.png").write_bytes(picture.png)
        (directory / f"thumb_{picture.name}.png").write_bytes(_thumbnail(picture.png))
    drawn = {picture.name: picture for picture in submission.pictures}
    _write_header(whole, submission, directory)
    for table in submission.tables:
        _table(lib, table, submission.keywords, drawn).write_yaml(str(directory))
    library.demand_valid(directory)


def _write_header(whole: Any, submission: Submission, directory: Path) -> None:
    """The first document of submission.yaml. `create_files` would also leave a tar file in the current directory."""
    import yaml

    header = {
        "data_license": dict(submission.license) or whole.get_license(),
        "comment": whole.comment,
        "additional_resources": whole.additional_resources,
    }
    if whole.related_records:
        header["related_to_hepdata_records"] = whole.related_records
    text = yaml.safe_dump(header, explicit_start=True, allow_unicode=True)
    (directory / "submission.yaml").write_text(text, encoding="utf-8")


def _table(lib: Any, table: Table, keywords: Mapping[str, Sequence[str | float]], drawn: Mapping[str, Picture]) -> Any:
    made = lib.Table(table.name)
    made.description = table.description
    made.location = "recast-dm"
    made.keywords = {name: list(values) for name, values in keywords.items()}
    if table.observables:
        made.keywords["observables"] = list(table.observables)
    for name in table.pictures:
        if name in drawn:
            made.add_additional_resource(f"Image file: {drawn[name].caption}", f"{name}.png")
            made.add_additional_resource("Thumbnail image file", f"thumb_{name}.png")
    for column in table.independent:
        made.add_variable(_variable(lib, column, is_independent=True))
    for column in table.dependent:
        made.add_variable(_variable(lib, column, is_independent=False))
    return made


def _variable(lib: Any, column: Column, *, is_independent: bool) -> Any:
    made = lib.Variable(
        column.name,
        is_independent=is_independent,
        is_binned=False,
        units=column.units,
        values=list(column.values),
        zero_uncertainties_warning=False,
    )
    made.digits = DIGITS
    for name, (value, units) in column.qualifiers.items():
        made.add_qualifier(name, value, units)
    for error in column.errors:
        made.add_uncertainty(_uncertainty(lib, error))
    return made


def _uncertainty(lib: Any, error: Error) -> Any:
    made = lib.Uncertainty(error.label, is_symmetric=error.symmetric)
    made.values = list(error.values)
    return made


def _thumbnail(png: bytes) -> bytes:
    """The same picture, small. hepdata_lib would call ImageMagick for it."""
    from matplotlib import image
    from matplotlib.figure import Figure

    pixels = image.imread(io.BytesIO(png))
    height, width = pixels.shape[:2]
    figure = Figure(figsize=(THUMBNAIL_WIDTH / 100, THUMBNAIL_WIDTH / 100 * height / width), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.imshow(pixels, aspect="auto", interpolation="antialiased")
    small = io.BytesIO()
    figure.savefig(small)
    return small.getvalue()
