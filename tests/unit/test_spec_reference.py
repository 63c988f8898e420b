"""recast.yml's `reference`: which outputs are compared, and how."""

from __future__ import annotations

import pytest
from workbench import quick, substage, workflow

from recast_dm import schemas
from recast_dm.errors import IntegrityError
from recast_dm.spec import reference
from recast_dm.spec.reference import Rule

DOCUMENTS = [
    {"path": "a/b", "compare": "exact"},
    {"path": "a/*/b.json", "compare": "json", "rtol": 0.5, "atol": 1.0, "ignore": ["/time"]},
    {"path": "a/b", "compare": "histogram", "min_p": 0.05, "test": "ks"},
    {"path": "a/b", "compare": "limit", "rtol": 0.25, "atol": 0.125},
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["compare"])
def test_a_rule_is_what_its_document_says_and_the_other_way_round(document):
    (rule,) = reference.rules_in([document], "run.json")
    assert rule.document() == document
    assert schemas.problem("recast-1", [document], "properties", "reference") is None


@pytest.mark.parametrize("compare", ["exact", "json", "histogram", "limit"])
def test_what_is_left_out_has_a_default(compare):
    rule = reference.rule_of({"path": "a/b", "compare": compare})
    assert reference.rule_of(rule.document()) == rule


def test_every_way_to_compare_is_in_the_schema():
    entry = schemas.schema("recast-1")["properties"]["reference"]["items"]
    assert set(entry["properties"]["compare"]["enum"]) == {document["compare"] for document in DOCUMENTS}
    assert set(entry["properties"]) == {key for document in DOCUMENTS for key in document}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"path": "../up", "compare": "exact"}, "does not lie in a run directory"),
        ({"path": "/etc/passwd", "compare": "exact"}, "does not lie in a run directory"),
        ({"path": "a//b", "compare": "exact"}, "does not lie in a run directory"),
        ({"path": "a/./b", "compare": "exact"}, "does not lie in a run directory"),
        ({"path": "a\0b", "compare": "exact"}, "does not lie in a run directory"),
        ({"path": "a/b", "compare": "exact", "rtol": 0.1}, "'rtol' says nothing where .* as 'exact'"),
        ({"path": "a/b", "compare": "limit", "rtol": float("inf")}, "a tolerance is a finite number"),
        ({"path": "a/b", "compare": "other"}, "'other' is not one of"),
        ({"path": "a/b"}, "'compare' is a required property"),
        ({"path": "a/b", "compare": "json", "ignore": ["time"]}, "'time' does not match"),
        ({"path": "a/b", "compare": "histogram", "min_p": 1}, "1 is greater than or equal to the maximum"),
        ("x", "'x' is not of type 'object'"),
    ],
)
def test_a_rule_that_makes_no_sense(document, message):
    with pytest.raises(IntegrityError, match=message):
        reference.rules_in([document], "run.json")


@pytest.mark.parametrize(
    ("pattern", "path", "means"),
    [
        ("a/*/b", "a/0/b", True),
        ("a/*/b", "a/0/c/b", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/0/c/b", True),
        ("a/**", "a/0/c/b", True),
        ("**/*.json", "a/0/b.json", True),
        ("**/*.json", "a/0/b.txt", False),
        ("a/[01]/b?", "a/1/bc", True),
        ("a/[01]/b?", "a/2/bc", False),
        ("**/" * 30 + "x", "a/" * 30 + "y", False),
    ],
)
def test_wildcards(pattern, path, means):
    assert Rule(pattern).matches(path) is means


def test_without_rules_every_result_is_compared_byte_by_byte():
    made = workflow(quick("a", {"x": 1}))
    results = ["a/x.json", "a/y.json", "./a/x.json", "../out", "/etc/passwd"]
    assert reference.default_rules(results, made) == (Rule("a/x.json"), Rule("a/y.json"))


def test_without_results_everything_that_the_last_stages_wrote():
    made = workflow(
        quick("first", {"x": 1}),
        quick("left", {"x": {"step": "first", "output": "x"}}),
        quick("right", {"x": 1}, needs=["first"]),
        substage("below", quick("inner", {"x": 1}), needs=["first"]),
    )
    assert reference.default_rules([], made) == (Rule("left/**"), Rule("right/**"), Rule("below/**"))
