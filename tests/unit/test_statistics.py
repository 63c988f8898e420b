"""A limit stage's document becomes a limit only if it is complete, finite and agrees with itself."""

from __future__ import annotations

import json

import pytest

from recast_dm.errors import StatisticsError
from recast_dm.statistics import read_limit

GOOD = {
    "schema": "recast-dm/limit-stage/1",
    "sigma_pb": 0.4,
    "sigma_pb_mc_error": 0.004,
    "cls_obs": 0.02,
    "cls_exp": [0.001, 0.005, 0.02, 0.08, 0.2],
    "mu_upper_obs": 0.8,
    "mu_upper_exp": [0.4, 0.6, 0.8, 1.1, 1.5],
    "mu_upper_obs_mc_error": 0.02,
    "mu_upper_exp_mc_error": 0.02,
    "correlation_model": "independent",
}


@pytest.fixture
def write(tmp_path):
    def write(**changes: object):
        path = tmp_path / "limit.json"
        path.write_text(json.dumps({**GOOD, **changes}))
        return path

    return write


def test_a_good_limit(write):
    limit = read_limit(write())
    assert limit.excluded
    assert limit.excluded_expected
    assert limit.sigma_upper_obs_pb == pytest.approx(0.32)
    assert limit.sigma_upper_exp_pb == pytest.approx((0.16, 0.24, 0.32, 0.44, 0.6))


@pytest.mark.parametrize(("cls", "mu", "excluded"), [(0.0499, 0.999, True), (0.0501, 1.0, False), (0.3, 2.0, False)])
def test_excluded_means_cls_below_five_percent(write, cls, mu, excluded):
    assert read_limit(write(cls_obs=cls, mu_upper_obs=mu)).excluded is excluded


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cls_obs": float("nan")}, "not finite"),
        ({"mu_upper_obs": float("inf")}, "not finite"),
        ({"sigma_pb": float("nan")}, "not finite"),
        ({"cls_exp": [0.1, 0.2, float("nan"), 0.4, 0.5]}, "not finite"),
        ({"mu_upper_exp": [0.4, 0.6, 0.8, 1.1, float("inf")]}, "not finite"),
        ({"sigma_pb": 0}, "is not a limit"),
        ({"sigma_pb": -1}, "is not a limit"),
        ({"mu_upper_obs": 0}, "is not a limit"),
        ({"mu_upper_obs": "0.8"}, "is not a limit"),
        ({"mu_upper_obs": None}, "is not a limit"),
        ({"cls_exp": [0.1, 0.2, 0.3, 0.4]}, "is not a limit"),
        ({"correlation_model": None}, "is not a limit"),
        ({"schema": "recast-dm/limit-stage/2"}, "is not a limit"),
        ({"cls_exp": [0.2, 0.08, 0.02, 0.005, 0.001]}, "cls_exp in .* is not in rising order"),
        ({"mu_upper_exp": [0.4, 0.6, 0.8, 1.5, 1.1]}, "mu_upper_exp in .* is not in rising order"),
        ({"mu_upper_obs": 1.4}, "contradicts itself"),
        ({"cls_obs": 0.5}, "contradicts itself"),
    ],
)
def test_anything_else_is_exit_7_and_never_not_excluded(write, changes, message):
    with pytest.raises(StatisticsError, match=message) as caught:
        read_limit(write(**changes))
    assert caught.value.exit_code == 7


@pytest.mark.parametrize("missing", [key for key in GOOD if key != "schema"])
def test_nothing_may_be_missing(tmp_path, missing):
    path = tmp_path / "limit.json"
    path.write_text(json.dumps({key: value for key, value in GOOD.items() if key != missing}))
    with pytest.raises(StatisticsError, match=f"'{missing}' is a required property"):
        read_limit(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"1"])
def test_what_is_no_document(tmp_path, content):
    path = tmp_path / "limit.json"
    path.write_bytes(content)
    with pytest.raises(StatisticsError, match=r"cannot be read|is not a limit"):
        read_limit(path)


def test_no_file(tmp_path):
    with pytest.raises(StatisticsError, match="cannot be read"):
        read_limit(tmp_path / "none.json")
