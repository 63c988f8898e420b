"""A limit as a table for people, and its plots."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recast_dm.cli import view
from recast_dm.cli.view import number
from recast_dm.cli.view import table as columns
from recast_dm.engine.rundir import plain
from recast_dm.reinterpret import Result
from recast_dm.statistics.limit import Limit

LAST_STEPS = 10
"""Steps whose published values a table shows."""
WIDEST = 100
_QUANTITY = {
    "sigma_upper_obs_pb": "sigma upper limit, pb",
    "sigma_pb": "sigma, pb",
    "mu_upper_obs": "mu upper limit",
    "mu_upper_exp": "expected mu upper limit",
}


def plots(result: Result) -> tuple[Path, ...]:
    """Draws the result's spectrum into the run directory."""
    if result.limit is None:
        return ()
    from recast_dm.report import spectrum

    try:
        return spectrum.draw(result)
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a picture, the result is shown
        view.say(f"warning: no plot: {type(error).__name__}: {error}")
        return ()


def table(result: Result, drawn: tuple[Path, ...]) -> str:
    """Everything a person wants to know of a point, closure included."""
    return "\n".join([*_head(result), *_limit(result), *_closure(result), *_places(result, drawn)])


def _head(result: Result) -> list[str]:
    lines = ["", f"{result.subject.name}: {result.subject.title}"]
    if result.point:
        shown = ", ".join(f"{name}={value:g}" for name, value in result.point.parameters.items())
        lines.append(f"{result.point.model}: {shown}")
        lines += [f"  with -p {name}={json.dumps(value)}" for name, value in result.overrides.items()]
        lines += [f"  note: {finding.text}" for finding in result.point.validity if not finding.ok]
    return lines


def _limit(result: Result) -> list[str]:
    limit = result.limit
    if limit is None:
        return ["", f"NOT COVERED: {result.answer.reason}"] if result.answer else _verdict(result)
    rows = [
        ("", "observed", "expected", "-1 sigma", "+1 sigma", "-2 sigma", "+2 sigma"),
        ("CLs (mu=1)", number(limit.cls_obs), *_band(limit.cls_exp)),
        ("mu upper limit", number(limit.mu_upper_obs), *_band(limit.mu_upper_exp)),
        ("sigma upper limit, pb", number(limit.sigma_upper_obs_pb), *_band(limit.sigma_upper_exp_pb)),
    ]
    verdict = "EXCLUDED" if limit.excluded else "not excluded"
    expected = "expected to be" if limit.excluded_expected else "not expected to be"
    order = f", {result.point.order}" if result.point else ""
    return [
        f"sigma = {number(limit.sigma_pb, 4)} pb +- {100 * limit.sigma_pb_mc_error / limit.sigma_pb:.2g} % (MC){order}",
        "",
        columns(rows),
        "",
        f"{verdict} at 95 % CL ({expected})",
        *(["  (within the MC error: generate more events)"] if _close(result) else []),
        f"correlations between bins: {limit.correlation_model}",
        f"MC error of the limit {100 * limit.mu_upper_obs_mc_error:.1f} %",
        *_corrected(result),
        *_uncertainties(limit),
    ]


def _verdict(result: Result) -> list[str]:
    """What limit curves say of the point."""
    if result.verdict is None:
        return []
    from recast_dm.curves.verdict import HEAD

    rows = result.verdict.rows()
    return ["", result.verdict.sentence, *(["", columns(rows, head=HEAD)] if rows else []), *result.verdict.remarks()]


def _corrected(result: Result) -> list[str]:
    """The limit with a K-factor, beside the one without."""
    found = result.answer.corrected if result.answer else None
    if found is None:
        return []
    verdict = "EXCLUDED" if found.excluded else "not excluded"
    chosen = f"with K = {number(found.value)} ({found.name}: {found.source})"
    expected = number(found.mu_upper_exp[2])
    return [f"{chosen}: mu upper limit {number(found.mu_upper_obs)} (expected {expected}), {verdict}"]


def _uncertainties(limit: Limit) -> list[str]:
    if not limit.uncertainties:
        return []
    rows = [(each.source, f"{100 * each.relative:.2g} %", each.how) for each in limit.uncertainties]
    return ["", columns(rows, head=("uncertainty of the limit", "", ""))]


def _close(result: Result) -> bool:
    """Whether the MC error could turn the verdict."""
    limit = result.limit
    return limit is not None and abs(limit.mu_upper_obs - 1) < limit.mu_upper_obs * limit.mu_upper_obs_mc_error


def _band(five: tuple[float, ...]) -> tuple[str, ...]:
    """Expected, then -1, +1, -2, +2 sigma, out of pyhf's rising order."""
    return tuple(number(five[n]) for n in (2, 1, 3, 0, 4))


def _closure(result: Result) -> list[str]:
    if result.limit is None:
        return []
    if not result.closure:
        return ["", "closure: nothing was published for this point"]
    return ["", *closure_rows([each.document() for each in result.closure])]


def closure_rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The table of published numbers beside ours, from their documents; with their points where these are named."""
    shown = [
        (
            *([_place(row)] if "parameters" in row else []),
            _QUANTITY[row["quantity"]],
            number(row["ours"]),
            number(row["published"]),
            f"{row['ratio']:.3f}",
            f"{'agrees' if row['agrees'] else 'DISAGREES'} (within {100 * row['tolerance']:.0f} %)",
            row["source"],
        )
        for row in rows
    ]
    extra = ("",) if shown and len(shown[0]) > 6 else ()
    yield columns(shown, head=("closure", *extra, "ours", "published", "ratio", "", "source"))


def _place(row: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value:g}" for name, value in row["parameters"].items())


def _places(result: Result, drawn: tuple[Path, ...]) -> list[str]:
    lines = ["", f"run directory  {near(result.finished.directory)}"]
    lines += [f"plot           {near(plot)}" for plot in drawn]
    if result.limit is None:
        lines += [f"{name:<14} {near(result.file(path))}" for name, path in result.subject.results.items()]
        lines += _published(result) if not result.subject.results else []
    return lines


def _published(result: Result) -> list[str]:
    """What the last steps published: those that no other step uses."""
    used = {source for step in result.finished.steps for source in step.depends_on}
    last = [record for record in result.finished.records if record.step not in used]
    lines = []
    for record in last[:LAST_STEPS]:
        shown = json.dumps(plain(record.published), ensure_ascii=False)
        lines.append(f"{record.step!s:<14} {shown if len(shown) <= WIDEST else shown[: WIDEST - 3] + '...'}")
    return [*lines, f"... and {len(last) - LAST_STEPS} more"] if len(last) > LAST_STEPS else lines


def near(path: Path) -> str:
    """A path as it is shown: relative where it lies below the current directory."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
