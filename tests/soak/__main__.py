"""`make soak`: every campaign to its total, or `python -m tests.soak CAMPAIGN --count N` for N more trials of one.

Resumes what `build/soak/` holds. Prints Markdown with counts; exit code 1 when a trial has failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.soak.campaign import Campaign, State, found, go_on

PLACE = Path(__file__).parents[2] / "build" / "soak"


def main() -> int:
    campaigns = {campaign.name: campaign for campaign in found()}
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("campaign", nargs="?", choices=sorted(campaigns), help="only this one (default: all)")
    parser.add_argument("--count", type=int, help="so many more trials (default: up to the campaign's total)")
    parser.add_argument("--again", action="store_true", help="forget what was done, begin at seed 0")
    arguments = parser.parse_args()
    chosen = [campaigns[arguments.campaign]] if arguments.campaign else list(campaigns.values())
    states = {campaign.name: _run(campaign, arguments.count, arguments.again) for campaign in chosen}
    print("| campaign | trials | failed | seconds |\n|---|---|---|---|")
    for name, state in states.items():
        print(f"| {name} | {state.next_seed} | {len(state.failures)} | {state.seconds:.0f} |")
    return int(any(state.failures for state in states.values()))


def _run(campaign: Campaign, count: int | None, again: bool) -> State:
    """Goes on with a campaign and keeps its state; says what failed as it comes."""
    path = PLACE / f"{campaign.name}.json"
    state = State() if again else State.read(path)
    more = max(0, campaign.total - state.next_seed) if count is None else count
    for after in go_on(campaign, state, more):
        for failure in after.failures[len(state.failures) :]:
            print(f"{campaign.name}: seed {failure.seed}: {failure.what}", file=sys.stderr)
        print(f"{campaign.name}: {after.next_seed} done, {len(after.failures)} failed", file=sys.stderr, flush=True)
        state = after
        state.write(path)
    return state


if __name__ == "__main__":
    sys.exit(main())
