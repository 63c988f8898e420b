"""A seeded selection of every campaign, within a minute; and what the campaigns rest on."""

from __future__ import annotations

import random
import time

import pytest

from tests.soak.campaign import Campaign, Failure, State, found, go_on

CAMPAIGNS = found()
SECONDS = 50.0 / max(len(CAMPAIGNS), 1)
"""What one campaign may take here: all of them together stay within a minute."""


@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda campaign: campaign.name)
def test_a_selection_of_its_trials_goes_well(campaign):
    seeds = random.Random(campaign.name).sample(range(campaign.total), campaign.total)
    end = time.monotonic() + SECONDS
    with campaign.setup():
        for seed in seeds:
            assert campaign.trial(seed) is None
            if time.monotonic() > end:
                break


def campaign(one, total=10) -> Campaign:
    return Campaign("some", total, one)


def test_a_campaign_goes_on_where_it_stopped(tmp_path):
    tried = []
    some = campaign(tried.append)
    path = tmp_path / "soak" / "some.json"
    for _ in range(2):
        *_, last = go_on(some, State.read(path), 3)
        last.write(path)
    assert tried == [0, 1, 2, 3, 4, 5]
    assert State.read(path).next_seed == 6


def test_failures_are_kept_with_their_seeds(tmp_path):
    def one(seed: int) -> str | None:
        if seed == 2:
            raise ValueError("odd")
        return "bad" if seed == 1 else None

    *_, last = go_on(campaign(one), State(), 4)
    assert last.failures == (Failure(1, "bad"), Failure(2, "ValueError: odd"))
    last.write(tmp_path / "some.json")
    assert State.read(tmp_path / "some.json") == last


def test_the_state_is_there_after_every_chunk():
    times = iter(range(0, 1000, 6))
    states = list(go_on(campaign(lambda _: None), State(), 5, clock=lambda: float(next(times))))
    assert [state.next_seed for state in states] == [2, 4, 5]


def test_no_trial_is_no_state():
    assert list(go_on(campaign(lambda _: None), State(), 0)) == []


def test_campaigns_have_names_of_their_own():
    names = [campaign.name for campaign in CAMPAIGNS]
    assert "conformance" in names
    assert len(set(names)) == len(names)
