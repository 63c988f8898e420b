"""JSONPaths: names, paths, what they find, and what they begin with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.errors import Location, SpecError
from recast_dm.spec import jsonpath

HERE = Location("workflow.yml", 3)
TREE = {"a": [{"b": 1}, {"b": 2, "c": [5]}], "d": 7}


@pytest.mark.parametrize("query", ["a", "fit_2", "a-b", "_x", "@id"])
def test_names(query):
    assert jsonpath.is_name(query)
    assert jsonpath.heads(query) == {query}
    assert jsonpath.matches(query, {query: 5}) == [5]
    assert jsonpath.matches(query, {}) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("a[0].b", [1]),
        ("a[*].b", [1, 2]),
        ("$.a[*].b", [1, 2]),
        ("a[-1].b", [2]),
        ("a[1:].c[0]", [5]),
        ("a[5].b", []),
        ("a.b", []),
        ("d[0]", []),
        ("d.x", []),
        ("$..b", [1, 2]),
        ("*", [TREE["a"], 7]),
        ("d|nope", [7]),
        ("a[0].(b|c)", [1]),
        ("(a[0].b)|d", [1, 7]),
        ("d,a", [7, TREE["a"]]),
    ],
)
def test_paths_find(query, found):
    assert not jsonpath.is_name(query)
    assert jsonpath.matches(query, TREE) == found


@pytest.mark.parametrize(
    ("query", "heads"),
    [
        ("a[0].b", {"a"}),
        ("$.a[*].b", {"a"}),
        ("a|b", {"a", "b"}),
        ("(a.x)|(b[0])|c", {"a", "b", "c"}),
        ("a,b", {"a", "b"}),
        ("a.(b|c)", {"a"}),
        ("*", None),
        ("$..a", None),
        ("*|a", None),
        ("*.a", None),
        ("$", None),
        ("a.`parent`.b", None),
        ("a[0].`parent`.`parent`.b", None),
    ],
)
def test_what_a_path_begins_with(query, heads):
    assert jsonpath.heads(query) == heads


@given(st.sampled_from(["a[*].b", "$.a[0]", "a|d", "(a[0].b)|d", "$..b", "*", "a,d", "a.`parent`.d", "d"]))
def test_nothing_is_found_below_other_names_than_the_heads(query):
    """What a stage is woken by: a change below any other name changes nothing that the path finds."""
    heads = jsonpath.heads(query)
    if heads is not None:
        assert jsonpath.matches(query, {k: v for k, v in TREE.items() if k in heads}) == jsonpath.matches(query, TREE)


@pytest.mark.parametrize("query", ["a[", "a..", "", "a b", "[", "a[?(@.b", "\0"])
def test_what_is_no_path(query):
    with pytest.raises(SpecError, match="is no JSONPath") as caught:
        jsonpath.check(query, HERE)
    assert caught.value.where == HERE
    assert jsonpath.check("a[*]", HERE) == "a[*]"


def test_a_path_has_a_length():
    assert jsonpath.check("x" * 900 + "[0]", HERE)
    with pytest.raises(SpecError) as caught:
        jsonpath.check("x" * 2000 + "[0]", HERE)
    assert caught.value.where == HERE
