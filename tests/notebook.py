"""The notebook of the Python interface, executed. `python -m tests.notebook` keeps what it says now."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "specs/cms-exo-20-004.ipynb"
PATIENCE = 1800
"""Seconds for one cell: a scan makes its cross-sections where none are cached."""


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def execute(notebook: Any, place: Path) -> None:
    """Runs every cell, as if the notebook lay in `place` beside the analysis; its outputs are replaced."""
    (place / "cms-exo-20-004").symlink_to(ROOT / "specs/cms-exo-20-004")
    resources = {"metadata": {"path": str(place)}}
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=resources).execute()
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def main() -> int:
    notebook = read()
    with tempfile.TemporaryDirectory() as place:
        execute(notebook, Path(place))
    nbformat.write(notebook, NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
