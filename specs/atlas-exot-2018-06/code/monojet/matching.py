"""Matching: how a sample of several jet multiplicities and a parton shower are kept from counting a jet twice.

What a Les Houches file says of it stands in MadGraph's run card. Pythia vetoes, or weighs, the events: by MLM
(arXiv:0706.2569, `JetMatching:*`) or CKKW-L (arXiv:1109.4829, `Merging:*`). The cross-section is that after matching.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from monojet.errors import InputError

NLO = {"2": "CKKW", "3": "FxFx", "4": "UNLOPS"}
NEUTRINOS = frozenset((12, 14, 16))


@dataclass(frozen=True, kw_only=True)
class Matching:
    """How the events are matched: `scale_gev` is qCut or the merging scale, `jets_max` the largest multiplicity."""

    scheme: Literal["none", "mlm", "ckkw-l"]
    scale_gev: float = 0.0
    jets_max: int = 0
    settings: tuple[str, ...] = ()


def matching(
    card: Mapping[str, str],
    multiplicities: Mapping[int, int],
    hard_final_ids: Sequence[tuple[int, ...]],
    scale_gev: float = 0.0,
) -> Matching:
    """What a run card demands of a sample with so many events of each number of hard light partons.

    `scale_gev` is the user's matching scale; 0: that of the card. `hard_final_ids` are the different sets of outgoing
    particles that are no light partons. Raises InputError for a sample that would count jets twice.

    >>> matching({"ickkw": "1", "xqcut": "30", "maxjetflavor": "5"}, {0: 10, 1: 5}, [(-52, 52)]).scale_gev
    30.0
    >>> matching({}, {1: 10}, [(-52, 52)]).scheme
    'none'
    """
    jets = max(multiplicities, default=0)
    ickkw = card.get("ickkw", "0")
    if ickkw in NLO:
        raise InputError(
            f"the sample is merged by {NLO[ickkw]} (ickkw = {ickkw}), which cannot be done here: shower it with the "
            "program it was made for, and give the events as HepMC"
        )
    if "parton_shower" in card:  # only the cards of MadGraph5_aMC@NLO's next-to-leading order have it
        raise InputError(
            f"the events were made at next-to-leading order, to be showered by {card['parton_shower']}, which cannot "
            "be done here: shower them with that program, and give the events as HepMC"
        )
    if ickkw == "1":
        return _mlm(card, jets, scale_gev)
    for name, switch in (("ktdurham", "doKTMerging"), ("ptlund", "doPTLundMerging")):
        if _number(card, name, -1.0) > 0:
            return _ckkwl(card, jets, hard_final_ids, scale_gev or _number(card, name, -1.0), switch)
    if scale_gev > 0:
        raise InputError("a merging scale is given, but the run card of the events names no matching scheme")
    if len(multiplicities) > 1:
        shown = ", ".join(f"{n} events with {k}" for k, n in sorted(multiplicities.items()))
        raise InputError(
            f"the sample has several numbers of hard jets ({shown}), but its run card names no matching (ickkw = 1, "
            "ktdurham or ptlund): the shower would count jets twice. Give a matched sample, one multiplicity, or "
            "showered events as HepMC"
        )
    return Matching(scheme="none", jets_max=jets)


def _number(card: Mapping[str, str], name: str, default: float) -> float:
    try:
        return float(card.get(name, default))
    except ValueError:
        raise InputError(f"the run card of the events has {name} = {card[name]!r}, which is no number") from None


def _mlm(card: Mapping[str, str], jets: int, scale_gev: float) -> Matching:
    """MLM in MadGraph's way. As Pythia's `JetMatching:setMad` does, qCut is xqcut where the user names no other."""
    xqcut = _number(card, "xqcut", 0.0)
    scale = scale_gev or xqcut
    if not scale >= xqcut > 0:
        raise InputError(f"MLM matching at {scale:g} GeV with xqcut = {xqcut:g} GeV: the scale must be xqcut or more")
    if "maxjetflavor" not in card:
        raise InputError("the run card of the events has ickkw = 1 but no maxjetflavor")
    words = {
        "merge": "on",
        "scheme": 1,
        "setMad": "off",
        "qCut": scale,
        "eTjetMin": scale,
        "nQmatch": int(_number(card, "maxjetflavor", 5)),
        "clFact": _number(card, "alpsfact", 1.0),
        "nJetMax": jets,
        "exclusive": 2,
        "coneRadius": 1.0,
        "etaJetMax": 10.0,
        "slowJetPower": 1,
        "doShowerKt": "off",
    }
    settings = tuple(f"JetMatching:{name}={value}" for name, value in words.items())
    return Matching(scheme="mlm", scale_gev=scale, jets_max=jets, settings=settings)


def _ckkwl(
    card: Mapping[str, str], jets: int, hard_final_ids: Sequence[tuple[int, ...]], scale_gev: float, switch: str
) -> Matching:
    settings = (
        f"Merging:{switch}=on",
        f"Merging:TMS={scale_gev}",
        f"Merging:nJetMax={jets}",
        f"Merging:Process={hard_process(hard_final_ids)}",
        "Merging:ktType=1",
        f"Merging:Dparameter={_number(card, 'dparameter', 1.0)}",
    )
    return Matching(scheme="ckkw-l", scale_gev=scale_gev, jets_max=jets, settings=settings)


def hard_process(final_ids: Sequence[tuple[int, ...]]) -> str:
    """Pythia's name of the core process: its outgoing particles, which all events of the sample must share.

    >>> hard_process([(-52, 52)])
    'pp>{x1,-52}{x2,52}'
    >>> hard_process([(-12, 12), (-14, 14)])
    'pp>NEUTRINOS'
    """
    if all(abs(i) in NEUTRINOS for ids in final_ids for i in ids):
        return "pp>NEUTRINOS"
    if len(final_ids) != 1:
        shown = "; ".join(" ".join(map(str, ids)) for ids in final_ids)
        raise InputError(f"CKKW-L merging takes one hard process, and the events have {len(final_ids)}: {shown}")
    return "pp>" + "".join(f"{{x{n},{i}}}" for n, i in enumerate(final_ids[0], 1))
