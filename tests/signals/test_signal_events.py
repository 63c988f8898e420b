"""Events from outside: what the model feeds is all that an analysis' init parameters need."""

from __future__ import annotations

import pytest

from recast_dm.errors import UsageError
from recast_dm.signals import find
from recast_dm.signals.events import SHARES

EVENTS = find("events")
FED = {
    "files", "sigma_pb", "merging_scale_gev", "shares", "settings", "couplings", "recoil_id", "invisible_ids",
    "expected_width_gev", "cross_section_factor",
}  # fmt: skip


def fed(**values):
    return EVENTS.feeds(EVENTS.point(values))["events"]


def test_nothing_has_to_be_said():
    found = fed()
    assert set(found) == FED
    assert found["files"] == "events/*"
    assert found["sigma_pb"] == 0  # the files say it
    assert found["invisible_ids"] == [52]
    assert "pythia8" not in EVENTS.feeds(EVENTS.point({}))  # an analysis without a way in for files refuses the model


def test_shares_are_all_of_one_whole():
    assert fed()["shares"] == [f"{n}/{SHARES}" for n in range(1, SHARES + 1)]


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ({"dm_id": 1000022}, [1000022]),
        ({"dm_id": 53, "other_id": 5000521}, [53, 5000521]),
        ({"dm_id": 52, "other_id": 52}, [52]),
    ],
)
def test_invisible_particles_are_those_named(values, ids):
    assert fed(**values)["invisible_ids"] == ids


def test_the_users_cross_section_and_scale_are_passed_on():
    found = fed(sigma_pb="0.35", merging_scale=45)
    assert (found["sigma_pb"], found["merging_scale_gev"]) == (0.35, 45.0)
    assert "given by the user" in EVENTS.validity(EVENTS.point({"sigma_pb": 0.35}))[0].text
    assert "as the files say" in EVENTS.validity(EVENTS.point({}))[0].text


@pytest.mark.parametrize("values", [{"dm_id": 0}, {"dm_id": -52}, {"dm_id": 52.5}, {"sigma_pb": -1}])
def test_what_cannot_be_is_refused(values):
    with pytest.raises(UsageError):
        EVENTS.point(values)
