"""A search in miniature: simulated signal events, a histogram, and the limit of a counting experiment.

It needs Python alone, and travels to the steps as an init file: while you work on it, no image has to be built.
Replace one part after the other by your own, and keep the last: what a limit stage must write stands in `limit`.
"""

import argparse
import json
import math
import random
from pathlib import Path

LEVEL = 0.05
"""95 % CL: a signal is excluded when its CLs is below this."""
QUANTILES = (0.0228, 0.1587, 0.5, 0.8413, 0.9772)
"""Of what is expected without a signal: -2, -1, 0, +1, +2 sigma."""


# --- the signal ------------------------------------------------------------------------------------------------------


def sigma_pb(m_med: float, m_dm: float) -> float:
    """The cross-section: it falls like the fifth power of the mediator's mass, and faster when that is off shell."""
    on_shell = 1.0 if 2 * m_dm < m_med else 0.01
    return 8.3 * (1000.0 / m_med) ** 5 * on_shell


def select(edges: list[float], m_med: float, m_dm: float, events: int, seed: int) -> dict[str, object]:
    """Simulated events in bins of the missing transverse momentum (the last bin takes all that is above it).

    The spectrum falls exponentially, more slowly for a heavy mediator; the detector smears it by a tenth.
    """
    dice = random.Random(seed)
    scale = 60.0 + 0.03 * m_med
    counts = [0] * (len(edges) - 1)
    for _ in range(events):
        met = dice.expovariate(1.0 / scale) * dice.gauss(1.0, 0.1)
        above = sum(met >= edge for edge in edges[:-1])
        if above:
            counts[above - 1] += 1
    return {"counts": counts, "events": events, "sigma_pb": sigma_pb(m_med, m_dm)}


def histogram(selected: list[dict], luminosity_fb: float) -> dict[str, object]:
    """The selected events of all seeds together, as yields at the luminosity of the data."""
    events = sum(each["events"] for each in selected)
    counts = [sum(column) for column in zip(*(each["counts"] for each in selected), strict=True)]
    weight = 1000.0 * luminosity_fb * selected[0]["sigma_pb"] / events  # 1 pb is 1000 fb
    return {"signal": [weight * count for count in counts], "counts": counts, "sigma_pb": selected[0]["sigma_pb"]}


# --- the limit -------------------------------------------------------------------------------------------------------


def at_most(count: int, mean: float) -> float:
    """The Poisson probability of no more than `count` events where `mean` are expected."""
    if mean <= 0:
        return 1.0
    return min(1.0, math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1)))


def cls(observed: int, background: float, signal: float) -> float:
    """CLs: how likely so few events are with the signal, in units of how likely they are without it."""
    return at_most(observed, background + signal) / at_most(observed, background)


def upper_limit(observed: int, background: float, signal: float) -> float:
    """The signal strength mu at which CLs is 0.05: CLs falls with mu, so halving an interval finds it."""
    low, high = 0.0, 1.0
    while cls(observed, background, high * signal) > LEVEL:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if cls(observed, background, middle * signal) > LEVEL else (low, middle)
    return high


def quantile(probability: float, mean: float) -> int:
    """The smallest count that at least this part of all experiments does not exceed."""
    count = 0
    while at_most(count, mean) < probability:
        count += 1
    return count


def limit(observed: int, background: float, signal: float, counted: int, sigma: float) -> dict[str, object]:
    """What a limit stage writes (schema recast-dm/limit-stage/1): CLs and upper limits on the signal strength mu.

    `counted` are the simulated events behind `signal`: the MC errors are relative. The expected numbers stand in
    rising order, from -2 to +2 sigma. The background has no error here: your likelihood will know better.
    """
    if not signal > 0:
        raise SystemExit("no simulated event is in the signal region: simulate more of them")
    expected = [quantile(each, background) for each in QUANTILES]
    return {
        "schema": "recast-dm/limit-stage/1",
        "sigma_pb": sigma,
        "sigma_pb_mc_error": 0.0,
        "cls_obs": cls(observed, background, signal),
        "cls_exp": [cls(count, background, signal) for count in expected],
        "mu_upper_obs": upper_limit(observed, background, signal),
        "mu_upper_exp": [upper_limit(count, background, signal) for count in expected],
        "mu_upper_obs_mc_error": counted**-0.5,
        "mu_upper_exp_mc_error": counted**-0.5,
        "correlation_model": "one bin",
    }


# --- the command line: one word a stage ------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    stages = parser.add_subparsers(dest="stage", required=True)
    for name in ("select", "histogram", "limit"):
        stage = stages.add_parser(name)
        stage.add_argument("--yields", type=Path, required=True)
        stage.add_argument("--output", type=Path, required=True)
        if name == "select":
            stage.add_argument("--m-med", type=float, required=True, help="GeV")
            stage.add_argument("--m-dm", type=float, required=True, help="GeV")
            stage.add_argument("--events", type=int, required=True)
            stage.add_argument("--seed", type=int, required=True)
        elif name == "histogram":
            stage.add_argument("--selected", type=Path, nargs="+", required=True)
        else:
            stage.add_argument("--histogram", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    words = arguments()
    yields = json.loads(words.yields.read_text())
    if words.stage == "select":
        result = select(yields["edges_gev"], words.m_med, words.m_dm, words.events, words.seed)
    elif words.stage == "histogram":
        result = histogram([json.loads(path.read_text()) for path in words.selected], yields["luminosity_fb"])
    else:
        signal = json.loads(words.histogram.read_text())
        first = yields["edges_gev"].index(yields["signal_region_gev"])  # the signal region: this bin and all above
        result = limit(
            sum(yields["observed"][first:]),
            sum(yields["background"][first:]),
            sum(signal["signal"][first:]),
            sum(signal["counts"][first:]),
            signal["sigma_pb"],
        )
    print(f"{words.stage}: {result}")
    words.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
