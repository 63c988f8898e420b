"""Names of workflows on REANA."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.backends.reana.names import LONGEST, checked, run_order, split, workflow_name
from recast_dm.errors import UsageError

DIGESTS = st.text("0123456789abcdef", min_size=8, max_size=64)


@given(st.text(max_size=400), DIGESTS, st.none() | DIGESTS)
def test_every_name_that_is_made_is_one_that_reana_takes(analysis, identity, point):
    name = workflow_name(analysis, identity, point)
    assert name == checked(name)
    assert len(name) <= LONGEST
    assert name.isascii()
    assert split(name) == (name, "")


def test_name_carries_the_capsule_and_the_point():
    one = workflow_name("cms-exo", "sha256:" + "a" * 64, "b" * 64)
    assert one == "cms-exo-aaaaaaaa-bbbbbbbb"
    assert len({one, workflow_name("cms-exo", "c" * 64, "b" * 64), workflow_name("cms-exo", "a" * 64, "d" * 64)}) == 3


@pytest.mark.parametrize(
    "name", ["", "a.b", "a b", "a/b", "é", "x" * (LONGEST + 1), str(uuid.uuid4()), str(uuid.uuid4()).upper()]
)
def test_name_that_reana_refuses_or_misreads_is_refused(name):
    with pytest.raises(UsageError):
        checked(name)


def test_uuid_of_another_version_is_a_name():
    assert checked("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def test_runs_are_in_the_order_they_were_made():
    assert sorted(["a.10", "a.9", "a.2.10", "a.2", "a.2.9"], key=run_order) == ["a.2", "a.2.9", "a.2.10", "a.9", "a.10"]
