"""From one choice of couplings to another without new events: mu_UL of a narrow resonance (arXiv:2203.12035).

On its mass shell a narrow mediator is made with g_q^2 and decays to dark matter with Gamma_chi/Gamma_tot, so

    mu_UL goes with 1 / (g_q^2 Gamma_chi/Gamma_tot).

Between vector and axial vector the widths carry the phase space: Gamma_chi and Gamma_tot are each model's own, and
light quarks make both alike; scalar and pseudoscalar are made with their widths to gluons in place of g_q^2.
That holds for Gamma/M up to 10 % in both, m_med > 2 m_dm, and unchanged masses; where it does
not, the findings say so. At g_q = .1 it meets a direct computation to .3 % at 1 TeV and 5 % at 2 TeV (the tail).
"""

from __future__ import annotations

from dataclasses import dataclass

from recast_dm.errors import UsageError
from recast_dm.signals.found import resolved
from recast_dm.signals.model import Finding, SignalModel
from recast_dm.signals.point import Point
from recast_dm.signals.resonance import NARROW

SOURCE = "arXiv:2203.12035"


@dataclass(frozen=True, slots=True)
class Rescaling:
    """`factor`: the new mu_UL over the old one. The findings say where it may be trusted."""

    factor: float
    findings: tuple[Finding, ...]


def rate(model: SignalModel, point: Point) -> float:
    """What the on-shell rate is proportional to: g_q^2 (or the width to gluons) times Gamma_chi/Gamma_tot.

    0 off-shell. Raises UsageError.

    >>> from recast_dm.signals import find
    >>> axial = find("spin1-axial")
    >>> round(rate(axial, axial.point({"m_med": 1000, "m_dm": 1})), 5)
    0.02987
    """
    widths = model.widths(point)
    if widths is None or "g_q" not in point.parameters():
        raise UsageError(
            f"{model.record.name} has no resonance with a coupling g_q to quarks",
            hint="limits on it cannot be rescaled: rerun it",
        )
    made = {width.channel: width.gev for width in widths.partial}.get("g", point["g_q"] ** 2)
    return made * widths["chi"] / widths.total


def rescaled(old_model: SignalModel, old: Point, new_model: SignalModel, new: Point) -> Rescaling:
    """How mu_UL changes from one point to another of the same masses. Raises UsageError where nothing can be said.

    >>> from recast_dm.signals import find
    >>> axial = find("spin1-axial")
    >>> one, other = (axial.point({"m_med": 1000, "m_dm": 1, "g_q": g_q}) for g_q in (0.25, 0.1))
    >>> round(rescaled(axial, one, axial, other).factor, 2)
    3.51
    """
    old_model, old = resolved(old_model, old)
    new_model, new = resolved(new_model, new)
    if new_model.record.family != old_model.record.family:
        raise UsageError(
            f"{old_model.record.name} and {new_model.record.name} are of different families",
            hint="limits are rescaled within one family: rerun the other model",
        )
    before, after = rate(old_model, old), rate(new_model, new)
    if any(old[name] != new[name] for name in ("m_med", "m_dm")):
        raise UsageError("other masses have other kinematics", hint="limits are rescaled in couplings only: rerun it")
    same = old_model.record.name == new_model.record.name and (before == 0 or after == 0)
    if (before == 0 or after == 0) and not same:
        raise UsageError("off the mass shell the two models cannot be compared", hint="rerun the other model")
    factor = _off_shell(old, new) if same else before / after
    return Rescaling(factor, _findings(old_model, old, new_model, new))


def _off_shell(old: Point, new: Point) -> float:
    """Off-shell the rate goes with g_q^2 g_dm^2: the width does not matter far from the pole."""
    return ((old["g_q"] * old["g_dm"]) / (new["g_q"] * new["g_dm"])) ** 2


def _findings(old_model: SignalModel, old: Point, new_model: SignalModel, new: Point) -> tuple[Finding, ...]:
    fractions = [_fraction(model, point) for model, point in ((old_model, old), (new_model, new))]
    narrow, shell = max(fractions) <= NARROW, 2 * new["m_dm"] < new["m_med"]
    same = old_model.record.name == new_model.record.name
    shown = " and ".join(f"{fraction:.2g}" for fraction in fractions)
    return (
        Finding("rescaled-narrow", narrow, f"width/mass before and after = {shown}, wanted <= {NARROW:g} ({SOURCE})"),
        Finding(
            "rescaled-on-shell",
            shell,
            "2 m_dm < m_med" if shell else "2 m_dm >= m_med: scaled with g_q^2 g_dm^2, good far from threshold only",
        ),
        Finding(
            "rescaled-kinematics",
            True,
            "the same model" if same else "vector and axial vector differ by phase space on the mass shell only",
        ),
    )


def _fraction(model: SignalModel, point: Point) -> float:
    widths = model.widths(point)
    return 0.0 if widths is None else widths.total / point["m_med"]
