"""Here-documents, arithmetic and foreign scripts: where a placeholder stands, and that its value arrives literally."""

import os
import subprocess

import pytest
from strategies import HOSTILE

from recast_dm.engine import command
from recast_dm.errors import Location, SpecError
from recast_dm.model import Command, ConstantPublisher, HostEnvironment, Script, Step, StepId, StepSpec
from recast_dm.spec import template

HERE = Location("steps.yml", 3)
STEP = StepId("one")
DOCUMENTS = [
    "cat <<EOF\n{x}\nEOF\necho {x}\n",
    "cat <<'EOF'\na {x} b\nEOF\necho \"{x}\"\n",
    "cat <<-EOF\n\t{x}\n\tEOF\nprintf %s {x}\n",
    "cat <<A; cat <<'B'\n{x}\nA\n{x}\nB\necho '{x}'",
    'cat <<"E O" # a comment\nz{x}\nE O\nprintf %s {x}',
    "cat <<EOF\na\\\nEOF\n{x}\nEOF\n",
    "echo $((1 + $(echo 2))); printf %s {x}",
    "echo $( (echo a); echo b); printf %s {x}",
]
VALUES = [*HOSTILE, "EOF", "\tEOF", "A", "B", "E O", "${x:-$(echo pwned)}"]


def step(process, value):
    spec = StepSpec(process, HostEnvironment(), ConstantPublisher({}), HERE)
    return Step(STEP, spec, {"x": value}, ())


def said(process, value) -> str:
    call = command.invocation(step(process, value), {STEP: "/tmp"})
    done = subprocess.run(
        call.argv, input=call.stdin, env={**os.environ, **call.env}, capture_output=True, text=True, check=False
    )
    return done.stdout


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("text", DOCUMENTS)
def test_values_arrive_literally_or_are_refused(text, shell):
    arrived = 0
    for value in VALUES:
        process = Script(template.parse(text, HERE), shell)
        try:
            out = said(process, value)
        except SpecError:
            assert "<<" in text  # only a literal here-document cannot take every text
            continue
        arrived += 1
        assert out.count(value) >= text.count("{x}"), (value, out)
    assert arrived > len(VALUES) / 2


@pytest.mark.parametrize(
    ("text", "value"),
    [("cat <<'EOF'\n{x}\nEOF\n", "EOF"), ("cat <<'EOF'\nE{x}F\nEOF\n", "O"), ("cat <<-'E'\n\t{x}\nE\n", "\tE")],
)
def test_no_value_ends_a_literal_here_document(text, value):
    with pytest.raises(SpecError, match="would end the here-document"):
        command.invocation(step(Command(template.parse(text, HERE)), value), {STEP: "/tmp"})


def test_several_lines_do_not_fit_into_a_literal_here_document():
    with pytest.raises(SpecError, match="several lines"):
        said(Command(template.parse("cat <<'E'\n{x}\nE\n", HERE)), "a\nE\nid")


@pytest.mark.parametrize("word", ["<<{x}", "<<E{x}", "<<'{x}'", "<<- {x}"])
def test_a_placeholder_cannot_name_a_here_document(word):
    with pytest.raises(SpecError, match="ends a here-document"):
        template.parse(f"cat {word}\n", HERE)


@pytest.mark.parametrize("name", ["<<E$A", "<<E\\A", "<<`x`", "<<'a\nb'", "<< ;"])
def test_a_here_document_whose_name_cannot_be_read(name):
    with pytest.raises(SpecError, match="after a here-document"):
        template.parse(f"cat {name}\n{{x}}\n", HERE)


@pytest.mark.parametrize("quoted", [True, False])
def test_a_script_in_another_language_takes_plain_words(quoted):
    text = "print('{x}')" if quoted else "print({x})"
    script = Script(template.parse(text, HERE, raw=True), "python3", foreign=True)
    assert said(script, 500) == "500\n"
    assert said(script, "1e-3") == ("1e-3\n" if quoted else "0.001\n")


@pytest.mark.parametrize("value", [*(set(HOSTILE) - {"-rf", "--help"}), "a b", "x=1", "__import__('os')"])
def test_and_nothing_else(value):
    script = Script(template.parse("print('{x}')", HERE, raw=True), "python3", foreign=True)
    with pytest.raises(SpecError, match="no plain word"):
        command.invocation(step(script, value), {STEP: "/tmp"})


def test_places_are_plain_words_too():
    script = Script(template.parse("print(open('{x}').name)", HERE, raw=True), "python3", foreign=True)
    assert (
        command.invocation(step(script, "/workdir/a-1.json"), {STEP: "/tmp"}).stdin
        == "print(open('/workdir/a-1.json').name)"
    )
