"""Comparing outputs by their rules: what agrees, what does not, and by how much."""

from __future__ import annotations

import copy
import json
import math
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import documents

from recast_dm.capsule.comparison import compatibility, limits, structure
from recast_dm.capsule.comparison.compare import Agreement, compare_files, compare_outputs
from recast_dm.capsule.comparison.documents import Malformed, Verdict
from recast_dm.capsule.comparison.numbers import deviation
from recast_dm.spec.reference import Rule, rule_of

JSON = Rule("a/b.json", "json", rtol=1e-6)
HISTOGRAM = rule_of({"path": "a/b.json", "compare": "histogram"})
LIMIT = rule_of({"path": "a/b.json", "compare": "limit", "rtol": 0.03})
RULES = [Rule("a/b.json"), JSON, HISTOGRAM, LIMIT]
DOCUMENT: dict[str, Any] = {
    "schema": "recast-dm/limit-stage/1",
    "sigma_pb": 0.35,
    "sigma_pb_mc_error": 0.0002,
    "cls_obs": 0.0331,
    "cls_exp": [2.4e-6, 5.1e-5, 9.2e-4, 0.0123, 0.0968],
    "mu_upper_obs": 0.94,
    "mu_upper_exp": [0.29, 0.39, 0.55, 0.80, 1.14],
    "mu_upper_obs_mc_error": 0.018,
    "mu_upper_exp_mc_error": 0.012,
    "correlation_model": "independent",
}
numbers = st.one_of(
    st.integers(), st.integers(-(10**400), 10**400), st.floats(), st.sampled_from([0, -0.0, math.nan, math.inf, 5e-324])
)


def limit(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(DOCUMENT), **changes}


class TestNumbers:
    @given(numbers, numbers, st.floats(0, 1), st.floats(0, 1e300))
    def test_symmetric(self, a, b, rtol, atol):
        assert deviation(a, b, rtol, atol) == deviation(b, a, rtol, atol)

    @given(numbers, st.floats(0, 1), st.floats(0, 1e300))
    def test_every_number_agrees_with_itself(self, a, rtol, atol):
        assert deviation(a, a, rtol, atol).agrees

    @given(numbers, numbers)
    def test_without_tolerance_only_equal_numbers_agree(self, a, b):
        same = a == b or str(a) == str(b) == "nan"
        assert deviation(a, b, 0.0, 0.0).agrees is same

    @given(st.floats(1e-290, 1e290), st.floats(1e-9, 0.5), st.sampled_from([-1, 1]))
    def test_the_tolerance_is_where_it_is_said_to_be(self, a, rtol, sign):
        assert deviation(a, a * (1 - sign * rtol * 0.999), rtol, 0.0).agrees
        assert not deviation(a, a * (1 + sign * rtol * 1.001 / (1 - max(sign, 0) * rtol)), rtol, 0.0).agrees

    @given(st.integers(10**320, 10**400), st.integers(1, 10**6))
    def test_integers_that_are_no_floats(self, a, step):
        assert not deviation(a, a + step, 0.0, 0.0).agrees
        assert deviation(a, a + step, 1e-300, 0.0).agrees
        assert not deviation(a, -a, 1.5, 1e300).agrees

    def test_being_within_one_tolerance_is_enough(self):
        assert deviation(1.0, 1.2, 0.5, 0.0).agrees
        assert deviation(1.0, 1.2, 0.0, 0.5).agrees
        assert not deviation(1.0, 1.2, 0.1, 0.1).agrees


class TestJson:
    @pytest.mark.parametrize(
        ("first", "second", "detail"),
        [
            ({"a": 1}, {"a": True}, "/a: 1 and true"),
            ({"a": 1}, {"a": "1"}, '/a: 1 and "1"'),
            ({"a": None}, {"a": 0}, "/a: null and 0"),
            ({"a": 1, "b": 2}, {"a": 1}, "/b is only in the first"),
            ({"a/b": {}}, {"a/b": {"~": 1}}, "/a~1b/~0 is only in the second"),
            ([1, 2], [1, 2, 3], "/: a list of 2 and a list of 3"),
            ([[1, "x"], "y"], [[1, "z"], "w"], '/0/1: "x" and "z", and 1 more'),
            ({"a": []}, {"a": {}}, "/a: a list of 0 and an object of 0"),
        ],
    )
    def test_what_is_no_number_must_be_equal(self, first, second, detail):
        rule = Rule("a/b", "json", rtol=10.0, atol=1e9)
        assert structure.compare(rule, first, second) == Verdict(False, "different", None, detail)
        assert not structure.compare(rule, second, first).agrees

    def test_an_int_may_be_a_float(self):
        assert structure.compare(Rule("a/b", "json"), {"a": [1, 2.0]}, {"a": [1.0, 2]}).agrees

    def test_the_largest_deviation_and_where_it_is(self):
        found = structure.compare(JSON, {"a": [1.0, 2.0], "b": 3.0}, {"a": [1.0, 4.0], "b": 3.1})
        assert found == Verdict(False, 0.5, 1e-6, "/a/1: 2.0 and 4.0")

    @pytest.mark.parametrize("ignore", ["/run/seconds", "/*/seconds", "/run"])
    def test_what_is_ignored(self, ignore):
        first = {"run": {"seconds": 1.5}, "x": 1}
        rule = Rule("a/b", "json", ignore=(ignore,))
        assert structure.compare(rule, first, {"run": {"seconds": "2"}, "x": 1}).agrees
        assert structure.compare(rule, first, {"run": {}, "x": 1}).agrees
        assert not structure.compare(rule, first, {"run": {"seconds": 1.5}, "x": 2}).agrees

    @given(documents, documents)
    def test_symmetric(self, first, second):
        one, other = structure.compare(JSON, first, second), structure.compare(JSON, second, first)
        assert (one.agrees, one.measure, one.bound) == (other.agrees, other.measure, other.bound)

    @given(documents)
    def test_a_document_agrees_with_itself(self, document):
        again = json.loads(json.dumps(document))
        assert structure.compare(Rule("a/b", "json"), document, again) == Verdict(True, 0.0, 0.0, "")

    @given(st.lists(st.floats(-1e300, 1e300), min_size=1), st.data())
    def test_a_deviation_above_the_tolerance_always_disagrees(self, numbers, data):
        n = data.draw(st.integers(0, len(numbers) - 1))
        changed = [*numbers]
        changed[n] = changed[n] * 1.00001 + 1e-300
        assume(abs(changed[n] - numbers[n]) > 2e-6 * abs(changed[n]))
        assert not structure.compare(JSON, {"x": numbers}, {"x": changed}).agrees


class TestLimit:
    def test_itself(self):
        assert limits.compare(LIMIT, limit(), limit()) == Verdict(True, 0.0, 0.03, "")

    @pytest.mark.parametrize("name", ["sigma_pb", "mu_upper_obs"])
    @pytest.mark.parametrize(("factor", "agrees"), [(1.01, True), (0.98, True), (1.04, False), (0.96, False)])
    def test_every_limit_is_within_rtol(self, name, factor, agrees):
        found = limits.compare(LIMIT, limit(), limit(**{name: DOCUMENT[name] * factor}))
        assert found.agrees is agrees
        assert found.measure == pytest.approx(1 - min(factor, 1 / factor))
        assert found.bound == 0.03

    @pytest.mark.parametrize("n", range(5))
    def test_so_is_every_expected_one(self, n):
        expected = [mu * (1.04 if i == n else 1.0) for i, mu in enumerate(DOCUMENT["mu_upper_exp"])]
        assert not limits.compare(LIMIT, limit(), limit(mu_upper_exp=expected)).agrees

    def test_a_small_cls_may_differ_by_more_than_a_limit(self):
        """One per cent in mu is 10 % of a CLs of 1e-5, and says nothing."""
        assert limits.compare(LIMIT, limit(), limit(cls_obs=0.0391)).agrees
        found = limits.compare(LIMIT, limit(), limit(cls_obs=0.07))
        assert (found.agrees, found.detail) == (False, "CLs, observed: 0.0331 and 0.07")

    def test_a_verdict_that_changes_is_said(self):
        found = limits.compare(LIMIT, limit(mu_upper_obs=0.99), limit(mu_upper_obs=1.01))
        assert found.agrees
        assert found.detail.endswith("; mu = 1 is excluded in the first only")
        assert not limits.compare(LIMIT, limit(), limit(mu_upper_obs=1.01)).agrees

    def test_another_correlation_model(self):
        assert limits.compare(LIMIT, limit(), limit(correlation_model="full")).measure == "different"

    def test_mc_errors_and_what_else_is_there_do_not_count(self):
        assert limits.compare(LIMIT, limit(), limit(mu_upper_obs_mc_error=0.5, versions={})).agrees

    @pytest.mark.parametrize(
        "changes",
        [
            {"mu_upper_obs": math.nan},
            {"mu_upper_obs": math.inf},
            {"sigma_pb": 1e308, "mu_upper_obs": 1e308},
            {"sigma_pb": 10**400},
            {"cls_exp": [0.1]},
            {"schema": "other"},
        ],
    )
    def test_what_is_no_limit(self, changes):
        for pair in ((limit(), limit(**changes)), (limit(**changes), limit())):
            with pytest.raises(Malformed):
                limits.compare(LIMIT, *pair)

    @given(st.floats(0.9, 1.1), st.sampled_from(["sigma_pb", "mu_upper_obs", "cls_obs"]))
    def test_symmetric(self, factor, name):
        changed = limit(**{name: DOCUMENT[name] * factor})
        one, other = limits.compare(LIMIT, limit(), changed), limits.compare(LIMIT, changed, limit())
        assert (one.agrees, one.measure) == (other.agrees, other.measure)


def binned(contents: Any, errors: Any = None, **more: Any) -> dict[str, Any]:
    return {"counts": contents, **more} if errors is None else {"values": contents, "errors": errors, **more}


class TestHistogram:
    @pytest.mark.parametrize(
        "document",
        [
            {"edges": [0, 1, 2], "counts": [4, 9]},
            {"edges": [0, 1, 2], "values": [4, 9], "errors": [2, 3]},
            {"edges": [0, 1, 2], "counts": [4, 9], "sumw2": [4, 9]},
            {"x": {"storage": {"values": [[4], [9]], "variances": [[4], [9]]}}},
            {
                "met_edges_gev": [0, 1, 2],
                "counts": [[4, 9]],
                "weights": [1],
                "yields": [4, 9],
                "yields_mc_error": [2, 3],
            },
        ],
    )
    def test_the_documents_that_are_understood(self, document):
        changed = json.loads(json.dumps(document).replace("9", "17"))
        found = compatibility.compare(HISTOGRAM, document, changed)
        assert found.detail.startswith("chi2/ndf = ")
        assert "/2" in found.detail
        assert isinstance(found.measure, float)
        assert found.measure < compatibility.compare(HISTOGRAM, document, document).measure == 1.0

    def test_the_p_value_is_that_of_chi2(self):
        found = compatibility.compare(HISTOGRAM, binned([10.0, 20.0], [3, 3]), binned([14.0, 20.0], [4, 4]))
        assert found.detail == "chi2/ndf = 0.64/2"
        assert found.measure == pytest.approx(math.exp(-0.32))

    @pytest.mark.parametrize("test", ["chi2", "ks"])
    def test_p_values_of_equal_histograms_are_uniform(self, test):
        """Poisson numbers of one spectrum: about as many p-values below any x as x says, and never far more."""
        rule = rule_of({"path": "a/b", "compare": "histogram", "test": test})
        dice = np.random.default_rng(1)
        mean = 2000 * np.exp(-np.arange(12) / 2.5)
        found = [
            compatibility.compare(rule, *(binned(dice.poisson(mean).tolist()) for _ in range(2))) for _ in range(2000)
        ]
        values = np.array([each.measure for each in found])
        for x in (0.01, 0.05, 0.25, 0.5, 0.75):
            share = (values < x).mean()
            assert share <= x + 4 * math.sqrt(x * (1 - x) / len(values))
            if test == "chi2":  # bins make KS cautious
                assert share >= x - 4 * math.sqrt(x * (1 - x) / len(values)) - 0.005
        assert (values >= 0.01).tolist() == [each.agrees for each in found]

    def test_weighted_histograms_of_another_size(self):
        """As many events as one likes: the errors say what a difference means."""
        dice = np.random.default_rng(2)
        mean = np.array([100.0, 50.0, 20.0])
        agree = 0
        for _ in range(500):
            few, many = dice.poisson(mean), dice.poisson(10 * mean)
            first = binned(few.tolist(), np.sqrt(few).tolist())
            second = binned((many / 10).tolist(), (np.sqrt(many) / 10).tolist())
            agree += compatibility.compare(HISTOGRAM, first, second).agrees
        assert agree >= 0.97 * 500

    def test_errors_of_quite_another_size_are_said(self):
        """With errors that are large enough anything agrees."""
        found = compatibility.compare(HISTOGRAM, binned([100.0], [10.0]), binned([300.0], [200.0]))
        assert found.agrees
        assert found.detail.endswith("; the errors are 10 and 200 in all")

    @pytest.mark.parametrize("test", ["chi2", "ks"])
    def test_other_spectra_disagree(self, test):
        rule = rule_of({"path": "a/b", "compare": "histogram", "test": test})
        first = binned([1000, 500, 250, 100])
        for second in (binned([500, 1000, 250, 100]), binned([1200, 600, 300, 120]), binned([1000, 500, 250, 200])):
            found = compatibility.compare(rule, first, second)
            if test == "chi2" or second["counts"][3] != 200:  # the sums hide what one bin of the tail does
                assert (found.agrees, found.bound) == (False, 0.01)

    def test_bins_without_errors(self):
        first = binned([5.0, 0.0, 2.0], [1.0, 0.0, 0.0])
        assert compatibility.compare(HISTOGRAM, first, first).detail == "chi2/ndf = 0/1"
        found = compatibility.compare(HISTOGRAM, first, binned([5.0, 0.0, 2.1], [1.0, 0.0, 0.0]))
        assert (found.agrees, found.measure) == (False, 0.0)
        assert found.detail == "bin 2 differs, and has no error in either"
        assert compatibility.compare(HISTOGRAM, binned([0, 0]), binned([0, 0])).measure == 1.0

    def test_several_histograms_are_as_bad_as_the_worst_and_no_worse(self):
        same, first, second = binned([100.0], [10.0]), binned([100.0], [10.0]), binned([130.0], [10.0])
        alone = compatibility.compare(HISTOGRAM, first, second).measure
        found = compatibility.compare(HISTOGRAM, {"x": first, "y": same}, {"x": second, "y": same})
        assert found.measure == pytest.approx(2 * float(alone))
        assert found.detail == "chi2/ndf = 4.5/1 at /x, the worst of 2"

    @pytest.mark.parametrize(
        ("second", "detail"),
        [
            (binned([1, 2], edges=[0, 1, 3]), "other edges: /~1edges/2: 2 and 3"),
            (binned([1, 2, 3], edges=[0, 1, 2]), "other bins at /"),
            ({"h": binned([1, 2]), "edges": [0, 1, 2]}, "only one of them holds a histogram at /"),
            ({"sample": [1, 2], "edges": [0, 1, 2]}, "other bins at /"),
        ],
    )
    def test_other_histograms(self, second, detail):
        found = compatibility.compare(HISTOGRAM, binned([1, 2], edges=[0, 1, 2]), second)
        assert (found.agrees, found.measure, found.detail) == (False, "different", detail)

    def test_unbinned_samples(self):
        dice = random.Random(3)
        first, second = ({"sample": [dice.gauss(0, 1) for _ in range(500)]} for _ in range(2))
        shifted = {"sample": [x + 0.5 for x in second["sample"]], "weights": [0.5] * 500}
        assert compatibility.compare(HISTOGRAM, first, second).agrees
        assert not compatibility.compare(HISTOGRAM, first, shifted).agrees
        assert compatibility.compare(HISTOGRAM, {"sample": [1, 1, 2]}, {"sample": [2, 1, 1]}).measure == 1.0

    @given(st.lists(st.tuples(st.floats(), st.floats(), st.floats(), st.floats()), min_size=1, max_size=5))
    def test_whatever_the_numbers_are_there_is_a_verdict_and_it_is_symmetric(self, rows):
        a, ea, b, eb = (list(column) for column in zip(*rows, strict=True))
        for test in ("chi2", "ks"):
            rule = rule_of({"path": "a/b", "compare": "histogram", "test": test})
            try:
                found = compatibility.compare(rule, binned(a, ea), binned(b, eb))
            except Malformed:
                continue
            other = compatibility.compare(rule, binned(b, eb), binned(a, ea))
            assert 0 <= float(found.measure) <= 1
            assert found.measure == pytest.approx(other.measure)
            assert compatibility.compare(rule, binned(a, ea), binned(a, ea)).agrees

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            ({"values": [1, 2]}, "holds no histogram with errors"),
            ([], "holds no histogram with errors"),
            (binned([1.0], [1.0, 2.0]), "the histogram at / in the second has 2 errors"),
            (binned([1.0], [-1.0]), "negative errors"),
            (binned([-1]), "negative counts"),
            ({"values": [1], "variances": [-1]}, "negative counts or variances"),
            (binned([math.nan], [1.0]), "not finite"),
            (binned([10**400]), "not finite"),
            (binned([True]), "not a number"),
            (binned([]), "is empty"),
            ({"sample": [1], "weights": "x"}, "not a number"),
        ],
    )
    def test_what_is_no_histogram(self, document, message):
        with pytest.raises(Malformed, match=message):
            compatibility.compare(HISTOGRAM, binned([1]), document)


# --- files ------------------------------------------------------------------------------------------------------------


def write(root: Path, **files: str | bytes) -> Path:
    """Files below a directory: `a__0__b` is `a/0/b`."""
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    root.mkdir(exist_ok=True)
    return root


def compared(rule: Rule, first: str | bytes, second: str | bytes, place: Path) -> Agreement:
    root = write(place, first=first, second=second)
    return compare_files("a/b.json", rule, root / "first", root / "second")


class TestFiles:
    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.compare)
    @pytest.mark.parametrize("content", ["", "{}", "not JSON", "[1, NaN]"])
    def test_identical_bytes_agree(self, rule, content, tmp_path):
        found = compared(rule, content, content, tmp_path)
        assert (found.agrees, found.measure) == (True, "identical")

    def test_other_bytes(self, tmp_path):
        assert compared(RULES[0], "{}", "{} ", tmp_path).detail == "2 and 3 bytes"
        assert compared(RULES[0], "{}", "[]", tmp_path).measure == "different"
        assert compared(JSON, "{}", "{} ", tmp_path).measure == 0.0

    @pytest.mark.parametrize("rule", RULES[1:], ids=lambda rule: rule.compare)
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\xff\xfe\x00",
            b"not JSON",
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b"1" * 5000,
            b"1e999",
            b'{"a": 1, "a": 2}',
            b"NaN",
        ],
    )
    def test_whatever_a_file_holds_is_a_verdict(self, rule, content, tmp_path):
        for first, second in ((content, b"{}"), (b"{}", content)):
            assert not compared(rule, first, second, tmp_path).agrees

    def test_deep_but_legal_documents(self, tmp_path):
        deep = "[" * 400 + "1" + "]" * 400
        assert not compared(JSON, deep, deep.replace("1", "2"), tmp_path).agrees

    def test_missing_links_and_directories(self, tmp_path):
        root = write(tmp_path, file="{}")
        (root / "link").symlink_to("file")
        os.mkfifo(root / "pipe")
        assert compare_files("a/b", JSON, root / "file", None).detail == "not in the second"
        for name in ("link", "pipe"):
            found = compare_files("a/b", JSON, root / "file", root / name)
            assert (found.agrees, found.measure) == (False, "malformed")

    def test_a_document_is_json(self, tmp_path):
        found = compared(JSON, "[1]", "[1e999]", tmp_path)
        assert json.loads(json.dumps(found.document(), allow_nan=False))["measure"] == "infinite"


class TestOutputs:
    def test_a_result_is_found_by_its_name_in_either_layout(self, tmp_path):
        kept = write(tmp_path / "kept", limit__limit="x", count_1__x="1")
        run = write(tmp_path / "run", limit__0__limit="x", count__1__x="1", count__0__x="0")
        found = compare_outputs([Rule("limit/limit"), Rule("count_1/x")], kept, run)
        assert [(each.path, each.measure) for each in found] == [
            ("limit/limit", "identical"),
            ("count_1/x", "identical"),
        ]

    def test_wildcards_name_what_is_in_either(self, tmp_path):
        first = write(tmp_path / "a", a__0__x="0", a__1__x="1", a__1__y="1", **{"run.json": "1", ".records__a": "1"})
        second = write(tmp_path / "b", a__0__x="0", a__2__x="1", **{"run.json": "2"})
        found = compare_outputs([Rule("a/*/x")], first, second)
        assert [(each.path, each.measure) for each in found] == [
            ("a/0/x", "identical"),
            ("a/1/x", "missing"),
            ("a/2/x", "missing"),
        ]
        assert [each.path for each in compare_outputs([Rule("**")], first, first)] == ["a/0/x", "a/1/x", "a/1/y"]
        assert [each.path for each in compare_outputs([Rule("a/x*")], first, first)] == ["a/0/x"]

    def test_the_first_rule_of_a_file_holds(self, tmp_path):
        root = write(tmp_path / "a", a__0__x="{}", a__0__y="{}")
        found = compare_outputs([JSON, Rule("a/x", "json"), Rule("a/*/*"), Rule("a/x"), Rule("a/*/*")], root, root)
        assert [(each.path, each.rule.compare, each.measure) for each in found] == [
            ("a/b.json", "json", "missing"),
            ("a/x", "json", "identical"),
            ("a/0/y", "exact", "identical"),
        ]

    def test_a_directory_is_all_that_is_in_it(self, tmp_path):
        kept = write(tmp_path / "kept", a__plots__x="0", a__plots__sub__y="1")
        run = write(tmp_path / "run", a__0__plots__x="0", a__0__plots__sub__y="2", a__0__z="")
        found = compare_outputs([Rule("a/plots")], kept, run)
        assert [(each.path, each.agrees) for each in found] == [("a/plots/sub/y", False), ("a/plots/x", True)]

    @pytest.mark.parametrize("path", ["a/x", "a/*/x"])
    def test_a_rule_that_names_nothing_disagrees(self, path, tmp_path):
        (found,) = compare_outputs([Rule(path)], write(tmp_path / "a"), write(tmp_path / "b"))
        assert (found.agrees, found.measure, found.detail) == (False, "missing", "in neither")

    def test_a_name_with_wildcards_in_it_is_taken_literally_where_escaped(self, tmp_path):
        root = write(tmp_path / "a", **{"a__0__x[1]": "0", "a__0__x1": "1"})
        assert [each.path for each in compare_outputs([Rule("a/0/x[[]1]")], root, root)] == ["a/0/x[1]"]
