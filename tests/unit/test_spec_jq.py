"""jq programs are looked at before anything runs, and cannot see the machine they run on."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.engine import values
from recast_dm.errors import Location, SpecError
from recast_dm.spec import jq

HERE = Location("workflow.yml", 3, 5)


@pytest.mark.parametrize(
    "program",
    [
        ".",
        ".env",
        ".a.input",
        '.["env"]',
        "{env: 1, now: .x}",
        '"the env of now"',
        '"a \\" env"',
        "def f(x): x + 1; f(.a)",
        ".environment | .inputs[0]",
        "[.[] | select(. > 1)]",
        '"\\(.a) and \\("b")"',
        "reduce .[] as $input (0; . + $input)",
        ". as $env | $env",
    ],
)
def test_programs(program):
    assert jq.program(program, HERE) == program


@pytest.mark.parametrize(
    ("program", "word"),
    [
        ("env", "env"),
        ("env.HOME", "env"),
        ("$ENV", "$ENV"),
        ("$ENV.PATH", "$ENV"),
        ('"\\(env.HOME)"', "env"),
        ('"a \\($ENV.HOME) b"', "$ENV"),
        ('@base64 "\\(env)"', "env"),
        ("{env}", "env"),
        ("[input]", "input"),
        ("[inputs]", "inputs"),
        ("now", "now"),
        ("now | todate", "now"),
        ('0 | strflocaltime("%Z")', "strflocaltime"),
        ("input_filename", "input_filename"),
        ("$__prog_args", "$__prog_args"),
        ("debug", "debug"),
        ("halt", "halt"),
        ('import "a" as a; .', "import"),
        ('include "a"; .', "include"),
        ("get_search_list", "get_search_list"),
    ],
)
def test_what_reads_the_machine_is_refused(program, word):
    with pytest.raises(SpecError) as caught:
        jq.program(program, HERE)
    assert f"reads the machine it runs on ({word})" in caught.value.message
    assert caught.value.where == HERE
    assert caught.value.hint == "pass the value as a parameter"


HIDDEN = [
    '"x\\("a")" + (env | tostring) + "y"',
    '. # "\n| env # "',
    '. # "\n| $ENV # "',
    '# \\\n "\n env # "',
    "[range(9)] | .[now:]",
    "[1] | .[env:]",
    '"x\\("a")" + (0 | strflocaltime("%Z")) + "y"',
    '"x\\("a")" + ([inputs] | tostring) + "y"',
    '"x\\("a")" + ($ENV | tostring) + "y"',
    '"x\\("a")" + (input_filename | tostring) + "y"',
    '"x\\("a")" + (try env catch $ENV | tostring) + "y"',
]
"""Ways past the reader's eye: strings in strings, comments, slices. The names mean nothing where the program runs."""


@pytest.mark.parametrize("program", HIDDEN)
def test_what_hides_it_sees_nothing(program, monkeypatch):
    monkeypatch.setenv("RECAST_DM_SECRET", "hush")
    monkeypatch.setenv("TZ", "HUSH7")
    try:
        found = values.jq_all(jq.program(program, HERE), {"a": 1}, HERE)
    except SpecError as error:
        found = [error.message]
    assert "hush" not in str(found).lower()


@given(
    st.lists(
        st.sampled_from(['"', "\\(", ")", "#", "\n", "env", "$ENV", " + ", "x", ".[", ":]", "|", "\\"]), max_size=9
    )
)
def test_no_program_sees_the_environment(pieces):
    os.environ["RECAST_DM_SECRET"] = "hush"  # hypothesis runs the test often: no fixture
    try:
        found = values.jq_all(jq.program("".join(pieces), HERE), {"x": 1}, HERE)
    except SpecError as error:
        found = [error.message]
    finally:
        del os.environ["RECAST_DM_SECRET"]
    assert "hush" not in str(found)


@pytest.mark.parametrize("program", [".a |", "{", "nope", "f(1)", ".a as $x"])
def test_what_jq_does_not_understand(program):
    with pytest.raises(SpecError, match="jq does not understand this program: ") as caught:
        jq.program(program, HERE)
    assert caught.value.where == HERE
    assert "\n" not in caught.value.message
    assert "def env" not in caught.value.message  # what stands before it is nobody's business


@pytest.mark.parametrize("program", ["." + " " * jq.MAX_PROGRAM, ".\0"])
def test_what_is_no_program(program):
    with pytest.raises(SpecError, match="is no jq program"):
        jq.program(program, HERE)
