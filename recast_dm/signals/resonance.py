"""What the models with an s-channel resonance share: points that Pythia cannot make, and findings on the width."""

from __future__ import annotations

from recast_dm.errors import UsageError
from recast_dm.signals.model import Finding, Widths
from recast_dm.signals.point import Point
from recast_dm.signals.record import SignalRecord
from recast_dm.signals.text import quantity, shortest

PYTHIA_MARGIN = 0.1
"""GeV. Pythia opens a decay only where the mediator is heavier than the pair by this."""

NARROW = 0.1
"""Width over mass up to which the narrow-width approximation serves (arXiv:2203.12035)."""


def refuse_too_wide(record: SignalRecord, point: Point, widths: Widths, name: str) -> None:
    """Raises UsageError where the mediator is wider than heavy; `name` is the coupling that makes it so."""
    if widths.total < point["m_med"]:
        return
    raise UsageError(
        f"{name} = {shortest(point[name])}: the mediator is wider than heavy, "
        f"{widths.total / point['m_med']:.3g} times m_med = {quantity(point['m_med'], 'GeV')}",
        hint=f"lower {name}: {record.name} takes {record.parameter(name).range}, and a width below m_med",
    )


def refuse_too_close(record: SignalRecord, point: Point) -> None:
    """Raises UsageError where twice m_dm lies less than 0.1 GeV below m_med: there Pythia closes an open channel."""
    half = point["m_med"] / 2
    if not half - PYTHIA_MARGIN / 2 <= point["m_dm"] < half:
        return
    raise UsageError(
        f"m_dm = {quantity(point['m_dm'], 'GeV')}: 2 m_dm is less than {PYTHIA_MARGIN} GeV below"
        f" m_med = {quantity(point['m_med'], 'GeV')}, where Pythia closes the open decay",
        hint=f"take m_dm below {quantity(half - PYTHIA_MARGIN / 2, 'GeV')}, or {quantity(half, 'GeV')} and more"
        f" (off-shell); {record.name} takes {record.parameter('m_dm').range}",
    )


def width_findings(point: Point, widths: Widths) -> tuple[Finding, Finding]:
    """Width over mass (arXiv:2203.12035), and whether dark matter is made on the mediator's mass shell."""
    mass, m_dm = point["m_med"], point["m_dm"]
    fraction = widths.total / mass
    narrow = "narrow" if fraction <= NARROW else "too wide to rescale in couplings"
    shell = "on its mass shell" if 2 * m_dm < mass else "off its mass shell"
    return (
        Finding("narrow-width", fraction <= NARROW, f"width/mass = {fraction:.2g}: {narrow} (arXiv:2203.12035)"),
        Finding("on-shell", 2 * m_dm < mass, f"the mediator makes dark matter {shell}"),
    )
