"""alpha_s and the K-factors made of it; tables of a user's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.errors import SpecError, UsageError
from recast_dm.signals import find, kfactor
from recast_dm.signals.alphas import alpha_s


def test_alpha_s_is_the_world_average_at_the_z():
    assert alpha_s(91.1876) == pytest.approx(0.118, abs=1e-9)


@pytest.mark.parametrize(("edge", "steps"), [(1.27, 1e-9), (4.18, 1e-9), (172.69, 1e-9)])
def test_alpha_s_is_continuous_at_thresholds(edge, steps):
    assert alpha_s(edge * (1 - steps)) == pytest.approx(alpha_s(edge * (1 + steps)), rel=1e-7)


@pytest.mark.parametrize(("scale", "flavours"), [(1.1, 3), (3.0, 4), (20.0, 5), (91.1876, 5), (500.0, 6), (5000.0, 6)])
def test_alpha_s_obeys_its_equation(scale, flavours):
    """d alpha/d ln Q^2 = -(b0 alpha^2 + b1 alpha^3), by a difference."""
    h = 1e-4
    slope = (alpha_s(scale * math.exp(h / 4)) - alpha_s(scale * math.exp(-h / 4))) / h
    alpha = alpha_s(scale)
    b0, b1 = (33 - 2 * flavours) / (12 * math.pi), (153 - 19 * flavours) / (24 * math.pi**2)
    assert slope == pytest.approx(-(b0 * alpha**2 + b1 * alpha**3), rel=1e-4)


@given(st.floats(1, 1e4), st.floats(1, 1e4))
def test_alpha_s_falls(one, other):
    low, high = sorted((one, other))
    assert alpha_s(low) >= alpha_s(high) > 0


def test_alpha_s_has_no_meaning_below_1_gev():
    with pytest.raises(ValueError, match="not perturbative"):
        alpha_s(0.9)


def point(name="spin1-axial", m_med=1000.0):
    return find(name).point({"m_med": m_med, "m_dm": 1})


def test_drell_yan():
    choice = kfactor.find("drell-yan")
    assert kfactor.drell_yan(91.1876) == pytest.approx(1 + 0.118 / (2 * math.pi) * 4 / 3 * (1 + 4 * math.pi**2 / 3))
    assert kfactor.drell_yan(91.1876) == pytest.approx(1.355, abs=5e-4)
    assert choice.at(point()) == choice.at(point("spin1-vector")) == kfactor.drell_yan(1000.0)
    assert choice.at(point("spin0-scalar")) is None
    assert choice.at(find("add").point({"n": 2, "m_d": 5000})) is None
    assert "4 pi^2/3" in choice.source


CSV = "m_med,K\n# from me\n500, 1.4\n1000,1.2  # here\n"
YAML = "source: my run\nmodel: spin1-axial\ntable:\n  - {m_med: 500, K: 1.4}\n  - {m_med: 1000, K: 1.2}\n"


@pytest.mark.parametrize(("name", "text", "source"), [("a.csv", CSV, "a.csv"), ("a.yml", YAML, "my run")])
def test_a_table(tmp_path, name, text, source):
    path = tmp_path / name
    path.write_text(text)
    table = kfactor.find(str(path))
    assert (table.name, table.source) == ("a", source)
    assert [table.at(point(m_med=m)) for m in (499, 500, 750, 1000, 1001)] == [
        None, 1.4, pytest.approx(1.3), 1.2, None,
    ]  # fmt: skip


def test_a_table_of_one_model(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text(YAML)
    assert kfactor.find(str(path)).at(point("spin1-vector", 750)) is None
    path.write_text(YAML.replace("model: spin1-axial\n", ""))
    assert kfactor.find(str(path)).at(point("spin0-scalar", 750)) == pytest.approx(1.3)
    assert kfactor.find(str(path)).at(find("add").point({"n": 2, "m_d": 5000})) is None


def test_a_table_of_one_row(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("m_med,K\n1000,1.2\n")
    assert kfactor.find(str(path)).at(point()) == 1.2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "mass,K\n", "a.csv:1:1: the first line must be m_med,K"),
        ("a.csv", "m_med,K\n500\n", "a.csv:2:1: a row is two numbers"),
        ("a.csv", "m_med,K\n500,x\n", "a.csv:2:1: a row is two numbers"),
        ("a.csv", "m_med,K\n500,1.3\n400,1.2\n", "a.csv:3:1: m_med = 400 does not rise"),
        ("a.csv", "m_med,K\n500,-1\n", "a.csv:2:1: m_med and K are positive"),
        ("a.csv", "m_med,K\n500,nan\n", "a.csv:2:1: m_med and K are positive"),
        ("a.csv", "m_med,K\n", "has no rows"),
        ("a.yml", "table: [{m_med: 500}]\n", "a.yml:1:9: a row lacks the key 'K'"),
        ("a.yml", "table: [{m_med: 500, K: yes}]\n", "a.yml:1:9: m_med and K are numbers"),
        ("a.yml", "rows: []\n", "a table of K-factors has no key 'rows'"),
    ],
)
def test_tables_that_are_none(tmp_path, monkeypatch, name, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(SpecError) as caught:
        kfactor.find(name)
    assert message in str(caught.value)


def test_names_that_are_none():
    with pytest.raises(UsageError, match="there is no K-factor 'nlo'"):
        kfactor.find("nlo")
    with pytest.raises(SpecError, match=r"cannot read missing\.csv"):
        kfactor.find("missing.csv")
