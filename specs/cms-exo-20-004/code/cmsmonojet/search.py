"""What the search is made of: its bins, years and data, as `bins.yaml` lists them (arXiv:2107.13021)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from monojet.errors import InputError

YEARS = (2016, 2017, 2018)
BINS_A_YEAR = 22
CORRELATION_MODEL = "covariance"


@dataclass(frozen=True, kw_only=True)
class Search:
    """Bins by year, then by missing transverse momentum; `edges_gev` are their lower edges.

    The last bin is open: the 1400 GeV at which the file ends it is where the paper's figures end.

    `lumi_fb` is that of all years together: what every efficiency is multiplied with, because the efficiency of a
    year's bin already holds that year's share. `background` is the post-fit expectation, in events.
    """

    lumi_fb: float
    lumi_of_year_fb: tuple[float, ...]
    edges_gev: tuple[float, ...]
    names: tuple[str, ...]
    observed: tuple[float, ...]
    background: tuple[float, ...]

    @property
    def share(self) -> tuple[float, ...]:
        """The part of the data that each year took."""
        return tuple(year / sum(self.lumi_of_year_fb) for year in self.lumi_of_year_fb)


def bin_name(year: int, number: int) -> str:
    """The name of a bin; they count from 1.

    >>> bin_name(2018, 22)
    'SR_2018_22'
    """
    return f"SR_{year}_{number}"


NAMES = tuple(bin_name(year, number) for year in YEARS for number in range(1, BINS_A_YEAR + 1))


def read(path: Path) -> Search:
    """The search in a bins file. Raises InputError where its bins are not the 66 of this search, in their order."""
    import yaml

    try:
        search = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"cannot read {path.name}: {error!r}") from error
    if search.names != NAMES or len(search.edges_gev) != BINS_A_YEAR:
        raise InputError(f"{path.name} does not hold the {len(NAMES)} bins of this search in their order")
    return search


@lru_cache(maxsize=1)  # a batch asks for many points of one search
def _parsed(text: str) -> Search:
    import yaml

    document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # safe, and in C
    bins = document["bins"]
    return Search(
        lumi_fb=float(document["lumi_fb"]["total"]),
        lumi_of_year_fb=tuple(float(document["lumi_fb"][str(year)]) for year in YEARS),
        edges_gev=tuple(float(edge) for edge in document["ptmiss_edges_GeV"][:BINS_A_YEAR]),
        names=tuple(each["bin"] for each in bins),
        observed=tuple(float(each["observed"]) for each in bins),
        background=tuple(float(each["background"]) for each in bins),
    )
