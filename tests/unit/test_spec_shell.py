"""Here-documents, arithmetic and foreign scripts: where a placeholder stands, and that its value arrives literally."""

import os
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
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
    "echo $((1 + $(echo 2))); printf %s {x}",
    "echo $( (echo a); echo b); printf %s {x}",
]
VALUES = [*HOSTILE, "EOF", "\tEOF", "A", "B", "E O", "${x:-$(echo pwned)}"]

EVIL = ["case", ")", ") echo pwned >&2 #", ')"; echo pwned >&2 #', "'; echo pwned >&2 #", "a\necho pwned >&2\n#"]
MARK = "Q7zQ"


def in_double_quotes(inner):
    """Texts in double quotes, around what `inner` draws."""
    literals = ["{x}", "a'b", " # ", ")", "(", '\\"', "\\$(", "$ ", "$((1+(2)))", "$((${{#u}}*2))", "${{u##*/}}"]
    return st.lists(inner | st.sampled_from(literals), max_size=3).map(lambda parts: f'"{"".join(parts)}"')


def substitutions(inner):
    """Command substitutions whose words hold what `inner` draws."""
    literals = ["{x}", "'{x}'", "a{x}", "'a)'", "\\)", "\\(", "\\'", "a#b", "$((3-(2)))", "$#", '"$(printf %s {x})"']
    ways = [
        "({})",
        "(\n({}) )",
        "(f() {{{{ {}; }}}}; f)",
        "(if :; then {}; fi)",
        "(:; (: && {}))",
        "(case a in a) {};; esac)",
        "({} # {{x}})\n)",
        "(\\\n{})",
    ]
    words = st.lists(in_double_quotes(inner) | st.sampled_from(literals), max_size=3).map(" ".join)
    return st.builds(lambda way, given: "$" + way.format(f"printf '<%s>' {given}"), st.sampled_from(ways), words)


NESTED = st.recursive(st.sampled_from(["$(printf '<%s>' {x})", "$(printf %s '{x}')"]), substitutions, max_leaves=5)
LINES = st.lists(in_double_quotes(NESTED) | st.sampled_from(["{x}", "'{x}'", "# it's {x}\n:"]), min_size=1, max_size=3)


def step(process, value):
    spec = StepSpec(process, HostEnvironment(), ConstantPublisher({}), HERE)
    return Step(STEP, spec, {"x": value}, ())


def outcome(process, value) -> subprocess.CompletedProcess[str]:
    call = command.invocation(step(process, value), {STEP: "/tmp"})
    return subprocess.run(
        call.argv, input=call.stdin, env={**os.environ, **call.env}, capture_output=True, text=True, check=False
    )


def said(process, value) -> str:
    return outcome(process, value).stdout


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


@pytest.mark.parametrize("shell", ["sh", "bash"])
@settings(max_examples=150, deadline=None)
@given(words=LINES, value=st.sampled_from([*HOSTILE, *EVIL]))
@example(words=["\"$(printf '<%s>' \"$(printf '<%s>' {x})\" 'a)'){x}\"", "{x}"], value=')"; echo pwned >&2 #')
def test_a_value_in_nested_substitutions_is_what_an_inert_one_is(words, value, shell):
    """What is printed for a harmless word is printed for any other text, with that in its place."""
    text = f"printf '<%s>' {' '.join(words)}"
    try:
        parsed = template.parse(text, HERE)
    except SpecError:
        return
    inert, got = (outcome(Script(parsed, shell), given) for given in (MARK, value))
    assert inert.stderr == got.stderr == ""
    # `$()` takes the line breaks at the end away
    assert got.stdout.replace("\n", "") == inert.stdout.replace(MARK, value).replace("\n", "")


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


@pytest.mark.parametrize(
    "text",
    [
        "cat << -'E'\n{x}\nE",
        "cat <<--'E'\n{x}\nE",
        "cat <<E<'/dev/null'\nb\nE\n{x}\n/dev/null",
        'cat <<"E"<<E\nE\n{x}',
        "echo $(cat <<'E')\n{x}\nE",
        "cat <<E\n$\\\n({x})\nE",
        "cat <<E\nE\\\n\n{x}\nE",
        "cat <<E\n${{x}}{x}\nE",
        "cat <<E\n${x}\nE",
        "cat <<E'F'\n{x}\nEF",
        "echo $(true)#'\n{x}'",
        "cat <(true)#'\n{x}'",
        "echo $((${{x-)) {x} }}))",
    ],
)
def test_where_shells_differ_or_surprise_nothing_is_accepted(text):
    with pytest.raises(SpecError):
        template.parse(text, HERE)


@pytest.mark.parametrize("value", ["a[$(echo pwned)]", "x[`echo pwned`]", "a[b[$(id)]]"])
@pytest.mark.parametrize("text", ["[[ {x} -gt 3 ]]", "let y={x}", "N={x}; echo $((N/10))", "printf '%s' {x}"])
def test_a_command_in_brackets_is_refused_wherever_it_stands(text, value):
    with pytest.raises(SpecError, match="in brackets"):
        command.invocation(step(Command(template.parse(text, HERE)), value), {STEP: "/tmp"})
