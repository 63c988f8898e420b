"""Values: frozen and back, in base64, through jq with paths in them, and as Python formats them."""

from __future__ import annotations

import base64
import json

import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.engine import values
from recast_dm.errors import Location, SpecError
from recast_dm.model import INIT, Dir, Path, StepId

HERE = Location("workflow.yml", 3)
SOURCE = Dir(StepId("scan/1/fit", 2))
PATH = Path((SOURCE, "/a b.root"))


def b64(document: object) -> str:
    return values.B64JSON + base64.b64encode(json.dumps(document).encode()).decode()


@given(strategies.documents)
def test_freezing_and_thawing_lose_nothing(document):
    frozen = values.freeze(document)
    assert values.thaw(frozen) == document
    assert values.freeze(values.thaw(frozen)) == frozen


@given(strategies.documents)
def test_base64_stands_for_any_document(document):
    assert values.decoded(b64(document)) == values.freeze(document)
    assert values.decoded({"k": ("x", b64(document))}) == {"k": ("x", values.freeze(document))}


@pytest.mark.parametrize("text", ["b64json://", "b64json://!!", "b64json://e30", b64(1)[:-3] + "*", "b64json://TmFO"])
def test_what_is_no_base64_is_refused_with_its_place(text):
    with pytest.raises(SpecError, match="is not JSON in base64") as caught:
        values.decoded((text,), HERE)
    assert caught.value.where == HERE


def test_base64_is_read_only_at_the_beginning_of_a_text_and_once():
    assert values.decoded("x" + b64(1)) == "x" + b64(1)
    assert values.decoded(b64(b64(1))) == b64(1)


@pytest.mark.parametrize(
    ("found", "whole"),
    [(3.0, 3), (-0.0, 0), (0.5, 0.5), (True, True), ("3.0", "3.0"), ((1.0, {"k": 2.0}), (1, {"k": 2}))],
)
def test_whole_floats_become_integers(found, whole):
    assert repr(values.whole(found)) == repr(whole)


class TestJq:
    @given(st.dictionaries(strategies.names, strategies.documents, max_size=4))
    def test_the_program_that_does_nothing_changes_nothing(self, document):
        value = values.whole(values.freeze({**document, "_path": None}))
        (found,) = values.jq_all(".", {**value, "_path": PATH}, HERE)  # type: ignore[dict-item]
        assert found["_path"] == PATH
        shorten = values.freeze(json.loads(json.dumps(values.thaw(value)), parse_int=float))
        again = values.freeze(json.loads(json.dumps(values.thaw({**found, "_path": None})), parse_int=float))
        assert again == shorten

    @pytest.mark.parametrize(
        ("program", "found"),
        [
            (".p", PATH),
            ('.p + ".gz"', Path((SOURCE, "/a b.root.gz"))),
            ('"\\(.p) \\(.i)"', Path((SOURCE, "/a b.root ", Dir(INIT), "/c"))),
            ('.p | startswith("/")', True),
            ('.p | split("/") | last', "a b.root"),
            ("[.[]] | length", 2),
            ('.p | split(" ") | join(" ")', PATH),
            ("{(.i): .p} | to_entries[0].value", PATH),
        ],
    )
    def test_paths_are_texts_that_begin_with_a_slash(self, program, found):
        value = {"p": PATH, "i": Path((Dir(INIT), "/c"))}
        assert values.jq_all(program, value, HERE) == [found]

    def test_a_text_cannot_pretend_to_be_a_path(self):
        with pytest.raises(SpecError, match="U\\+E000") as caught:
            values.jq_all(".", {"x": "/\ue000init/0\ue001/etc"}, HERE)
        assert caught.value.where == HERE

    def test_the_first_thing_of_all(self):
        assert values.jq_first("1, 2", None, HERE) == 1
        with pytest.raises(SpecError, match="'empty' makes nothing"):
            values.jq_first("empty", None, HERE)

    def test_an_error_is_said_with_the_program_and_its_place(self):
        with pytest.raises(SpecError) as caught:
            values.jq_first('error("no \\(.x)")', {"x": 5}, HERE)
        assert caught.value.message == "the jq program 'error(\"no \\\\(.x)\")' fails: no 5"
        assert caught.value.where == HERE

    def test_text_for_a_file(self):
        text = values.jq_text("{f: .p, n: 1}", {"p": PATH}, lambda path: path.render({SOURCE.step: "/inputs/0"}), HERE)
        assert json.loads(text) == {"f": "/inputs/0/a b.root", "n": 1}


class TestItem:
    @pytest.mark.parametrize(
        ("keys", "found"), [((), {"a": (1, "xy")}), (("a", "0"), 1), (("a", "1", "1"), "y"), (("a",), (1, "xy"))]
    )
    def test_found(self, keys, found):
        assert values.item({"a": (1, "xy")}, keys) == found

    @pytest.mark.parametrize("keys", [("b",), ("a", "2"), ("a", "x"), ("a", "0", "real"), ("__class__",), ("a", "")])
    def test_not_there(self, keys):
        with pytest.raises(ValueError, match="there is no"):
            values.item({"a": (1, "xy")}, keys)


class TestFormatted:
    @pytest.mark.parametrize(
        ("value", "spec", "conversion", "text"),
        [
            (5, "04d", "", "0005"),
            (0.25, ".3f", "", "0.250"),
            ("a", ">3", "", "  a"),
            ("a'", "", "r", '"a\'"'),
            (5, "x", "", "5"),
        ],
    )
    def test_as_python_does(self, value, spec, conversion, text):
        assert (
            values.formatted(value, spec, conversion)
            == text
            == f"{{0{'!' if conversion else ''}{conversion}:{spec}}}".format(value)
        )

    @pytest.mark.parametrize(
        ("value", "spec"),
        [("a", "d"), (5, "{x}"), (5, "9" * 30), ([1], "3"), (5, "99999999999d"), (5.0, ".9999f"), (None, "3")],
    )
    def test_what_cannot_be_formatted(self, value, spec):
        with pytest.raises(ValueError):  # noqa: PT011  # Python's own words
            values.formatted(value, spec, "")


class TestPaths:
    @pytest.mark.parametrize(
        ("parts", "joined"),
        [
            (("a", "b"), "ab"),
            ((), ""),
            ((SOURCE, "", "/a", "/b"), Path((SOURCE, "/a/b"))),
            (("", SOURCE), Path((SOURCE,))),
            ((SOURCE, SOURCE), Path((SOURCE, SOURCE))),
        ],
    )
    def test_joined(self, parts, joined):
        assert values.joined(Path(parts)) == joined

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("/workdir", Path((SOURCE,))),
            ("/workdir/a", Path((SOURCE, "/a"))),
            ("/inputs/1/a", Path((Dir(INIT), "/a"))),
            ("/inputs/10/a", "/inputs/10/a"),
            ("/workdirs", "/workdirs"),
            ("x/workdir", "x/workdir"),
        ],
    )
    def test_placed(self, text, found):
        assert values.placed(text, {"/workdir": SOURCE.step, "/inputs/1": INIT}) == found


def test_deep_results_of_jq_are_an_error_of_ours():
    with pytest.raises(SpecError):
        values.jq_all("reduce range(3000) as $i ([]; [.])", None, HERE)
