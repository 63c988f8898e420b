"""The curves that come with recast-dm: `data/index.yml` says what each is, the tables beside it are as obtained."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from recast_dm.curves.curve import Citation, Curve

Table = tuple[tuple[float, ...], ...]
"""Columns of a table, the mass first."""


@cache
def shipped() -> tuple[Curve, ...]:
    """All of them, in the order of the index. Read on the first call.

    >>> [curve.name for curve in shipped() if curve.experiment == "PICO-60"]
    ['pico-60-2019-sdp']
    """
    import yaml

    index = yaml.safe_load(_text("index.yml"))
    return tuple(_curve(name, {**index["common"][said["kind"]], **said}) for name, said in index["curves"].items())


def _curve(name: str, said: dict[str, Any]) -> Curve:
    columns = table(_text(said.pop("file")))
    said.pop("kind")
    masses, limits = columns[0], columns[said.pop("column")]
    low, high = said.pop("band", (None, None))
    band = (columns[low], columns[high]) if low is not None else None
    citation = Citation(**said.pop("citation"))
    return Curve(name=name, citation=citation, masses=masses, limits=limits, band=band, **said)


def table(text: str) -> Table:
    """The columns of a table of numbers: `#` begins a comment, and a line of words is a head.

    >>> table("# a comment\\nmass limit\\n10 1e-46\\n100\\t2e-46\\n")
    ((10.0, 100.0), (1e-46, 2e-46))
    """
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    head = 1 if lines[0][0][0].isalpha() else 0
    return tuple(zip(*([float(word) for word in line] for line in lines[head:]), strict=True))


def _text(name: str) -> str:
    return (files("recast_dm.curves") / "data" / name).read_text(encoding="utf-8")
