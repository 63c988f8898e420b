"""The toy analysis: a count that falls with the mediator's mass, and the limit of a counting experiment."""

import argparse
import json
import math
import random
from pathlib import Path


def count(seed: int, events: int, m_med: float, m_dm: float) -> dict[str, float]:
    """Accepted events out of `events`; sigma in pb falls like the fourth power of the mediator's mass."""
    efficiency = 0.1 * (1.0 if 2 * m_dm < m_med else 0.01)
    dice = random.Random(seed)
    accepted = sum(dice.random() < efficiency for _ in range(events))
    return {"accepted": accepted, "events": events, "sigma_pb": 8.33 * (1000.0 / m_med) ** 4}


def limit(counts: list[dict[str, float]]) -> dict[str, object]:
    """No events seen over no background: CLs = exp(-mu s), so mu < 3.0 / s."""
    accepted = sum(count["accepted"] for count in counts)
    generated = sum(count["events"] for count in counts)
    sigma = counts[0]["sigma_pb"]
    signal = 7.2 * sigma * accepted / generated
    upper = -math.log(0.05) / signal
    scales = (0.8, 0.9, 1.0, 1.2, 1.5)
    return {
        "schema": "recast-dm/limit-stage/1",
        "sigma_pb": sigma,
        "sigma_pb_mc_error": 0.0,
        "cls_obs": math.exp(-signal),
        "cls_exp": [math.exp(-signal / scale) for scale in scales],
        "mu_upper_obs": upper,
        "mu_upper_exp": [upper * scale for scale in scales],
        "mu_upper_obs_mc_error": accepted**-0.5,
        "mu_upper_exp_mc_error": accepted**-0.5,
        "correlation_model": "independent",
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    stages = parser.add_subparsers(dest="stage", required=True)
    counting = stages.add_parser("count")
    counting.add_argument("--seed", type=int, required=True)
    counting.add_argument("--events", type=int, required=True)
    counting.add_argument("--m-med", type=float, required=True)
    counting.add_argument("--m-dm", type=float, required=True)
    counting.add_argument("--output", type=Path, required=True)
    limiting = stages.add_parser("limit")
    limiting.add_argument("--counts", type=Path, nargs="+", required=True)
    limiting.add_argument("--output", type=Path, required=True)
    words = parser.parse_args(argv)
    if words.stage == "count":
        result: object = count(words.seed, words.events, words.m_med, words.m_dm)
    else:
        result = limit([json.loads(path.read_text()) for path in words.counts])
    print(f"{words.stage}: {result}")
    words.output.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
