"""Reading and writing the files that pass from stage to stage: JSON documents and numpy archives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from monojet.errors import InputError


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document as canonical text: the same content gives the same bytes."""
    path.write_text(json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path, schema: str) -> dict[str, Any]:
    """Read a document and check that it is of the expected schema."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path.name}: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise InputError(f"{path.name} is not a {schema} document")
    return document


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write named arrays as an uncompressed npz archive (numpy writes it with fixed time stamps)."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read an npz archive of plain arrays."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, BadZipFile) as error:
        raise InputError(f"cannot read {path.name}: {error}") from error
