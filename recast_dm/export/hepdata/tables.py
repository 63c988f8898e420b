"""The tables of a scan: limits, cross-sections, contours, closure, and every point that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from recast_dm import signals
from recast_dm.errors import RecastError
from recast_dm.export.hepdata.values import MISSING, Cell, Column, Error, Table, cell
from recast_dm.export.scans import Scan

Point = Mapping[str, Any]

LIMITS = "Upper limits on the signal strength"
CROSS_SECTIONS = "Upper limits on the cross section"
CONTOURS = {
    "observed": "Observed exclusion contour",
    "expected": "Expected exclusion contour",
    "expected_minus_1": "Expected exclusion contour minus 1 sigma",
    "expected_plus_1": "Expected exclusion contour plus 1 sigma",
}


def of_scan(scan: Scan) -> tuple[Table, ...]:
    """Every table that the document fills, the limits first."""
    makers = (_limits, _cross_section_limits, _cls, _cross_sections, _uncertainties, _with_k_factor, _points, _closure)
    made = [table for maker in makers if (table := maker(scan)) is not None]
    return (*made, *_contours(scan))


# --- columns ----------------------------------------------------------------------------------------------------------


def coordinates(scan: Scan, points: Sequence[Point]) -> tuple[Column, ...]:
    """Where the points are: one independent column a parameter that varies."""
    units = _units(scan.document["model"])
    return tuple(
        Column(name=axis, units=units.get(axis, ""), values=[point["parameters"][axis] for point in points])
        for axis in scan.axes
    )


def qualifiers(scan: Scan) -> dict[str, tuple[Cell, str]]:
    """What all numbers of a scan hold for: the model, its fixed parameters, the data and how they were treated."""
    document = scan.document
    units = _units(document["model"])
    found: dict[str, tuple[Cell, str]] = {"Analysis": (document["analysis"], ""), "Model": (document["model"], "")}
    found |= {name: (value, units.get(name, "")) for name, value in scan.fixed.items()}
    if document["order"]:
        found["Order of the signal"] = (document["order"], "")
    if document.get("sqrt_s_tev"):
        found["SQRT(S)"] = (1000 * document["sqrt_s_tev"], "GeV")
    if document["luminosity_fb"]:
        found["LUMINOSITY"] = (document["luminosity_fb"], "fb$^{-1}$")
    for title, key in (("Correlation model", "correlation_model"), ("Likelihood", "likelihood")):
        named = sorted({str(point[key]) for point in scan.done if point.get(key)})
        if named:
            found[title] = (", ".join(named), "")
    return found


def _units(model: str) -> dict[str, str]:
    """The units of a model's parameters; none for a model that this machine does not know."""
    try:
        record = signals.find(model).record
    except RecastError:
        return {}
    return {parameter.name: "" if parameter.unit == "1" else parameter.unit for parameter in record.parameters}


def _relative(label: str, values: Sequence[float], relative: Sequence[float | None]) -> tuple[Error, ...]:
    """A relative error as HEPData takes it; none where no point has one."""
    if not any(relative):
        return ()
    return (Error(label=label, values=[value * (each or 0.0) for value, each in zip(values, relative, strict=True)]),)


def band(name: str, units: str, fives: Sequence[Sequence[float]], about: Mapping[str, tuple[Cell, str]]) -> Column:
    """An expected value with its band, out of five values in pyhf's order: -2, -1, 0, +1, +2 sigma.

    >>> column = band("Expected", "pb", [[0.5, 0.75, 1.0, 1.5, 2.0]], {})
    >>> column.values, column.errors[0].values, column.errors[1].values
    ([1.0], [(-0.25, 0.5)], [(-0.5, 1.0)])
    """
    errors = tuple(
        Error(
            label=f"{sigmas} sigma",
            symmetric=False,
            values=[(five[2 - sigmas] - five[2], five[2 + sigmas] - five[2]) for five in fives],
        )
        for sigmas in (1, 2)
    )
    return Column(name=name, units=units, values=[five[2] for five in fives], errors=errors, qualifiers=about)


# --- limits -----------------------------------------------------------------------------------------------------------


def _limits(scan: Scan) -> Table | None:
    done = scan.done
    if not done:
        return None
    about = {"LIMIT": ("95% CL, CLs", ""), **qualifiers(scan)}
    observed = [point["mu_upper_obs"] for point in done]
    error = _relative("MC statistics", observed, [point["mu_upper_obs_mc_error"] for point in done])
    return Table(
        name=LIMITS,
        description="95% CL upper limits on the signal strength mu: the cross section over that of the model. "
        "The point is excluded where mu is below 1.",
        independent=coordinates(scan, done),
        dependent=(
            Column(name="Observed upper limit on mu", values=observed, errors=error, qualifiers=about),
            band("Expected upper limit on mu", "", [point["mu_upper_exp"] for point in done], about),
        ),
        observables=("MU",),
        pictures=("plane", "limit"),
    )


def _cross_section_limits(scan: Scan) -> Table | None:
    done = [point for point in scan.done if point["sigma_upper_obs_pb"] is not None]
    if not done:
        return None
    about = {"LIMIT": ("95% CL, CLs", ""), **qualifiers(scan)}
    observed = [point["sigma_upper_obs_pb"] for point in done]
    error = _relative("MC statistics", observed, [point["mu_upper_obs_mc_error"] for point in done])
    return Table(
        name=CROSS_SECTIONS,
        description="95% CL upper limits on the cross section of the model, before any selection.",
        independent=coordinates(scan, done),
        dependent=(
            Column(name="Observed upper limit", units="pb", values=observed, errors=error, qualifiers=about),
            band("Expected upper limit", "pb", [point["sigma_upper_exp_pb"] for point in done], about),
        ),
        observables=("SIG",),
        pictures=("limit",),
    )


def _cls(scan: Scan) -> Table | None:
    done = [point for point in scan.done if point["cls_obs"] is not None]  # not that of limits that were rescaled
    if not done:
        return None
    about = {"mu": (1, ""), **qualifiers(scan)}
    return Table(
        name="CLs of the signal",
        description="CLs of the model at its own cross section (mu = 1). The point is excluded where CLs is below .05.",
        independent=coordinates(scan, done),
        dependent=(
            Column(name="Observed CLs", values=[point["cls_obs"] for point in done], qualifiers=about),
            band("Expected CLs", "", [point["cls_exp"] for point in done], about),
        ),
        observables=("CLS",),
    )


def _cross_sections(scan: Scan) -> Table | None:
    done = [point for point in scan.done if point["sigma_pb"] is not None]
    if not done:
        return None
    sigmas = [point["sigma_pb"] for point in done]
    errors = [point["sigma_pb_mc_error"] or 0.0 for point in done]
    error = (Error(label="MC statistics", values=errors),) if any(errors) else ()
    column = Column(name="Cross section", units="pb", values=sigmas, errors=error, qualifiers=qualifiers(scan))
    order = scan.document["order"] or "the order that the generator gives"
    return Table(
        name="Cross sections of the model",
        description=f"The cross section of the signal at {order}, without any K-factor, before any selection.",
        independent=coordinates(scan, done),
        dependent=(column,),
        observables=("SIG",),
    )


def _with_k_factor(scan: Scan) -> Table | None:
    """Limits beside those at leading order, where a K-factor was chosen."""
    done = [point for point in scan.done if point.get("k_factor")]
    if not done:
        return None
    factors = [point["k_factor"] for point in done]
    named = ", ".join(sorted({str(each["name"]) for each in factors}))
    sources = "; ".join(sorted({str(each["source"]) for each in factors}))
    about = {"LIMIT": ("95% CL, CLs", ""), "K-factor": (named, ""), **qualifiers(scan)}
    return Table(
        name="Upper limits on the signal strength with K-factor",
        description=f"As the limits on mu, with the cross section of the model multiplied by K ({named}: {sources}).",
        independent=coordinates(scan, done),
        dependent=(
            Column(name="K", values=[each["value"] for each in factors], qualifiers=about),
            Column(
                name="Observed upper limit on mu", values=[each["mu_upper_obs"] for each in factors], qualifiers=about
            ),
            band("Expected upper limit on mu", "", [each["mu_upper_exp"] for each in factors], about),
        ),
        observables=("MU",),
    )


def _uncertainties(scan: Scan) -> Table | None:
    done = [point for point in scan.done if point.get("uncertainties")]
    if not done:
        return None
    itemised = [{each["source"]: each for each in point["uncertainties"]} for point in done]
    sources = list(dict.fromkeys(source for each in itemised for source in each))
    how = {source: next(each[source]["how"] for each in itemised if source in each) for source in sources}
    return Table(
        name="Uncertainties of the limits",
        description="Relative uncertainties of the upper limit on mu. "
        + "; ".join(f"{source}: {how[source]}" for source in sources),
        independent=coordinates(scan, done),
        dependent=tuple(
            Column(
                name=source,
                values=[each[source]["relative"] if source in each else MISSING for each in itemised],
                qualifiers=qualifiers(scan),
            )
            for source in sources
        ),
    )


# --- all points, closure, contours ------------------------------------------------------------------------------------


def _points(scan: Scan) -> Table:
    points = scan.points
    names = list(dict.fromkeys(finding["name"] for point in points for finding in point["validity"]))
    flags = [{finding["name"]: finding for finding in point["validity"]} for point in points]
    about = qualifiers(scan)

    def words(say: Callable[[Point], str]) -> list[Cell]:
        return [say(point) for point in points]

    def flag(name: str) -> list[Cell]:
        return [("inside" if each[name]["ok"] else "OUTSIDE") if name in each else MISSING for each in flags]

    return Table(
        name="Points of the scan",
        description="Every point that was asked for. 'not covered' and 'failed' points have no limit: they are listed "
        "here and in no other table. Where a criterion of validity says OUTSIDE, the model is not to be trusted.",
        independent=coordinates(scan, points),
        dependent=(
            Column(name="Status", values=words(lambda point: point["status"]), qualifiers=about),
            Column(name="Excluded", values=words(_verdict("excluded")), qualifiers=about),
            Column(name="Expected to be excluded", values=words(_verdict("excluded_expected")), qualifiers=about),
            Column(name="Reason", values=words(lambda point: point["reason"] or MISSING), qualifiers=about),
            *(Column(name=f"Validity: {name}", values=flag(name), qualifiers=about) for name in names),
        ),
    )


def _verdict(key: str) -> Callable[[Point], str]:
    return lambda point: MISSING if point["status"] != "done" else "yes" if point[key] else "no"


def _closure(scan: Scan) -> Table | None:
    rows = scan.document["closure"]
    if not rows:
        return None
    names = list(dict.fromkeys(name for row in rows for name in row["parameters"]))
    units = _units(scan.document["model"])
    agrees = {True: "agrees", False: "DISAGREES", None: "not computed"}
    return Table(
        name="Closure",
        description="Published numbers of the analysis, and what this reinterpretation gives for the same points: "
        + "; ".join(dict.fromkeys(str(row["source"]) for row in rows)),
        independent=(
            Column(name="Model", values=[row["model"] for row in rows]),
            *(
                Column(name=name, units=units.get(name, ""), values=[cell(row["parameters"].get(name)) for row in rows])
                for name in names
            ),
            Column(name="Quantity", values=[row["quantity"] for row in rows]),
        ),
        dependent=(
            Column(name="This reinterpretation", values=[cell(row["ours"]) for row in rows]),
            Column(name="Published", values=[row["published"] for row in rows]),
            Column(name="Ratio", values=[cell(row["ratio"]) for row in rows]),
            Column(name="Tolerance of the ratio", values=[row["tolerance"] for row in rows]),
            Column(name="Agreement", values=[agrees[row["agrees"]] for row in rows]),
        ),
    )


def _contours(scan: Scan) -> Iterator[Table]:
    contour = scan.document["contour"]
    if not contour:
        return
    for kind, title in CONTOURS.items():
        for variant, lines in contour.get(kind, {}).items():
            if lines:
                yield _contour(scan, contour, title if variant == "central" else f"{title} {variant}", lines)


def _contour(scan: Scan, contour: Mapping[str, Any], title: str, lines: Sequence[Sequence[Sequence[float]]]) -> Table:
    """The vertices of the lines on which mu is 1, in their order; a line after the other."""
    units = _units(scan.document["model"])
    first, second = contour["axes"]
    vertices = [(number, *vertex) for number, line in enumerate(lines, 1) for vertex in line]
    return Table(
        name=title,
        description=f"The line on which the upper limit on mu is 1 ({contour['method']}). "
        "'low' and 'high': the same for the limit moved down and up by its own uncertainty.",
        independent=(Column(name=first, units=units.get(first, ""), values=[x for _, x, _ in vertices]),),
        dependent=(
            Column(
                name=second,
                units=units.get(second, ""),
                values=[y for _, _, y in vertices],
                qualifiers={"LIMIT": ("95% CL, CLs", ""), **qualifiers(scan)},
            ),
            Column(name="Line", values=[number for number, _, _ in vertices]),
        ),
        observables=("MU",),
        pictures=("plane",),
    )
