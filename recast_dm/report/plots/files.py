"""A figure as files: the picture, and the numbers in it as CSV and JSON beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.errors import IntegrityError, UsageError

SUFFIXES = (".png", ".svg", ".pdf")


def check_output(output: Path) -> None:
    """Raises UsageError for a name that is no picture's."""
    if output.suffix not in SUFFIXES:
        hint = f"-o {output.stem or 'plot'}.png"
        raise UsageError(f"-o {output}: pictures are written as .png, .svg or .pdf", hint=hint)
    if output.is_dir():
        raise UsageError(f"-o {output} is a directory", hint="name a file")


def picture(figure: Any, kind: str, dpi: int = 150) -> bytes:
    """A figure as PNG, SVG or PDF: the same figure gives the same bytes."""
    import matplotlib as mpl

    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[kind]
    place = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "recast-dm"}):
        figure.savefig(place, format=kind, dpi=dpi, metadata=undated)
    return place.getvalue()


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV with numbers in full; what is not there is empty."""
    place = io.StringIO()
    writer = csv.writer(place, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(
        ["" if cell is None else repr(cell) if isinstance(cell, float) else cell for cell in row] for row in rows
    )
    return place.getvalue().encode()


def _check_data(file: Path, schema: str) -> None:
    """The numbers of a plot may take the place of those of an older one, and of nothing else: never that of a scan."""
    table = file.with_suffix(".csv")
    if not file.exists():
        if table.exists():
            raise UsageError(f"{table} would be replaced by the numbers of the plot", hint="name another file with -o")
        return
    try:
        found = store.read_document(file)
    except IntegrityError:
        found = None
    if not isinstance(found, dict) or found.get("schema") != schema:
        raise UsageError(f"{file} would be replaced by the numbers of the plot", hint="name another file with -o")


def save(
    figure: Any, output: Path, head: Sequence[str], rows: Iterable[Sequence[Any]], document: Mapping[str, Any]
) -> tuple[Path, ...]:
    """Writes the picture at `output`, and `.csv` and `.json` beside it.

    Raises UsageError, also where the `.json` would replace what is no plot's, and StorageError.
    """
    check_output(output)
    _check_data(output.with_suffix(".json"), str(document["schema"]))
    beside = {".csv": table(head, rows), ".json": store.pretty(document)}
    store.write_atomic(output, picture(figure, output.suffix[1:]))
    for suffix, data in beside.items():
        store.write_atomic(output.with_suffix(suffix), data)
    return (output, *(output.with_suffix(suffix) for suffix in beside))
