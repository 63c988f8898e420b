"""Where placeholders stand in a command, and that a value that gets there is one literal word of a real shell."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import strategies
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from recast_dm.engine import command
from recast_dm.errors import Location, SpecError
from recast_dm.model import (
    Command,
    ConstantPublisher,
    Dir,
    DockerEnvironment,
    Field,
    Path,
    Script,
    Step,
    StepId,
    StepSpec,
)
from recast_dm.spec import template

HERE = Location("steps.yml", 3, 10)
SHELLS = [shell for name in ("sh", "bash") if (shell := shutil.which(name))]
SHOW = "printf '%s\\0' "
"""Prints each of its words, ended by NUL."""


SHELL_PIECES = ["{x}", " {x} ", "'", '"', "$", "\\", "#", " ", "\n", "<", "(", ")", "a", "; ", "$((", "))", "$("]
SHELL_PIECES += ["$'", "${{y:-", "}}", '"${{y:-"', '"}}"', "echo ", "echo #'", "&", "\\\n", "\t", "''", "{x}#"]
ATTACKS = [
    "$(echo PWNED >&2)",
    "`echo PWNED >&2`",
    "; echo PWNED >&2 #",
    "'; echo PWNED >&2 #",
    '"; echo PWNED >&2 #',
    "\\'\"; echo PWNED >&2 #",
    "a\necho PWNED >&2\n",
]
"""Each says PWNED where a value gets out of one kind of quotes."""


def step(text: str, parameters: dict, *, script: bool = False, raw: bool = False) -> Step:
    parsed = template.parse(text, HERE, raw=raw)
    process = Script(parsed, "sh") if script else Command(parsed)
    spec = StepSpec(process, DockerEnvironment("image", workdir="/workdir"), ConstantPublisher({}), HERE)
    return Step(StepId("one"), spec, parameters, (), ("compat: raw",) if raw else ())


def invoked(made: Step) -> command.Invocation:
    return command.invocation(made, command.in_container(made))


def words(text: str, parameters: dict, *, shell: str = "/bin/sh", script: bool = False) -> list[str]:
    """The words that `printf` gets when a real shell runs the command."""
    call = invoked(step(SHOW + text, parameters, script=script))
    argv = (shell, *call.argv[1:])
    script_text = None if call.stdin is None else call.stdin.encode()
    done = subprocess.run(
        argv, input=script_text, env={"HOME": "/home/x", **call.env}, capture_output=True, check=False
    )
    assert done.stderr == b""
    assert done.returncode == 0
    return done.stdout.decode().split("\0")[:-1]


class TestWhere:
    @pytest.mark.parametrize(
        ("text", "quoting"),
        [
            ("run {x}", "none"),
            ("run '{x}'", "single"),
            ('run "{x}"', "double"),
            ("run 'a'{x}", "none"),
            ('run "it\'s" {x}', "none"),
            ("run 'say \"' {x}", "none"),
            ("run \\' {x}", "none"),
            ('run \\" {x}', "none"),
            ('run "\\"{x}"', "double"),
            ("run '\\' {x}", "none"),
            ("run $(cat {x})", "none"),
            ("run '$'{x}", "none"),
            ("run '${x}'", "single"),
            ("run \\${x}", "none"),
            ("run ${{HOME}}/{x}", "none"),
            ('run "${{HOME}}/{x}"', "double"),
            ("a=$# b=c#d {x}", "none"),
            ("# it's a comment\nrun {x}", "none"),
            ("run # isn't it\nrun '{x}'", "single"),
            ("awk '{{print $1}}' {x}", "none"),
            ("run < in > out {x}", "none"),
            ('run "$(cat {x})"', "nested"),
            ('run "$(cat "a" \'b\')" {x}', "none"),
            ('run "$(cat)/{x}"', "double"),
            ("run \"$(cat '{x}')\"", "single"),
            ('run "$(cat "{x}")"', "double"),
            ('run "$(a "$(b (c) \\) {x})")"', "nested"),
            ('run "$(a "$(b)" $(c) {x})"', "nested"),
            ("run \"$(a | (b; c))\" '{x}'", "single"),
            ('run "$((1 + (2)))/{x}"', "double"),
            ('run "$(a $((1 + ${{n}})) {x})"', "nested"),
            ('run "${{a%%[(]*}}$(b ${{c##*/}})" {x}', "none"),
            ("run # {x}", "comment"),
            ("# {x}", "comment"),
            ("run \\\n# {x}", "comment"),
            ("run $(a # it's {x}\n)", "comment"),
            ("# ${x} `", "comment"),
            ("showcase {x} $(case a in a) b;; esac)", "none"),
            ("run ''# {x}", "none"),
            ("run \\ # {x}", "none"),
        ],
    )
    def test_the_quotes_around_a_placeholder_are_known(self, text, quoting):
        assert Field("x", quoting) in template.parse(text, HERE).parts

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("cat <<EOF\n$(echo) {x}\nEOF\n", "after an expansion in a here-document"),
            ("cat <<{x}\nEOF\n", "in the word that ends a here-document"),
            ("run `cat {x}`", "after a backquote"),
            ('run "`cat {x}`"', "after a command substitution in double quotes"),
            ("(run)#it's\n# {x}", "after a # that may begin a comment"),
            ("run {y}#{x}", "after a # that may begin a comment"),
            ("run $(a)#'\n{x}'", "after a # that may begin a comment"),
            ('run "$(a # b\n) {x}"', "after a # that may begin a comment"),
            ('run "$(case a in a) b;; esac) {x}"', "after `case` in a substitution"),
            ('run "$(ca\\\nse a in a) b;; esac) {x}"', "after `case` in a substitution"),
            ("run $(($(case a in a) b;; esac)))'{x}'))", "after `case` in a substitution"),
            ('run "$(cat <<E\n)\nE\n) {x}"', "after a here-document in a command substitution in double quotes"),
            ('run "$(cat <<<a {x})"', "after a here-document in a command substitution in double quotes"),
            ('run "$(a `b` {x})"', "after a backquote"),
            ("run \"$(a $'b') {x}\"", "after $'...', which not every shell reads alike"),
            ('run "$((a) {x})"', "after `$((`, which may begin arithmetic or a command"),
            ('run "$((a) | b) {x}"', "after `$((`, which may begin arithmetic or a command"),
            ('run "$((1 + {x}))"', "in arithmetic, which a shell evaluates"),
            ('run "$(a; ((b))) {x}"', "after arithmetic, which a shell evaluates"),
            ('run "$([[ a =~ [)] ]]) {x}"', "after arithmetic, which a shell evaluates"),
            ('run "$([{y}[ a =~ [)] ]]) {x}"', "after a bracket behind a placeholder, which may be empty"),
            ("run $({y}(a)) {x}", "after a bracket behind a placeholder, which may be empty"),
            ("cat <{y}<E\n{x}\nE\n", "after a redirection behind another one"),
            ('run "$(a ${{b:-)}}) {x}"', "after a parenthesis in ${...}"),
            ("run $((${{b:-))'{x}'}}))", "after a parenthesis in ${...}"),
            ("run ${{ a; }} {x}", "after quotes or expansions in ${...}"),
            ('run "$$(a {x})"', "after an operator that not every shell reads alike"),
            ('run "$\\\n(a {x})"', "after an operator that not every shell reads alike"),
            ("run $$ $${x}", "behind a dollar sign"),
            ("cat <<'E' $(a\n{x}\nE\n)", "after a parenthesis behind the name of a here-document"),
            ("echo $(cat <<'E')\n{x}\nE\n", "after a here-document whose name cannot be read"),
            ("cat <<'E' \"$(a\n{x}\nE\n)\"", "after a parenthesis behind the name of a here-document"),
            ("run \\{x}", "behind a backslash"),
            ('run "\\{x}"', "behind a backslash"),
            ("run ${x}", "behind a dollar sign"),
            ('run "${x}"', "behind a dollar sign"),
            ("run $(( {x} ))", "in arithmetic, which a shell evaluates"),
            ("(( {x} ))", "after arithmetic, which a shell evaluates"),
            ("run $[ {x} ]", "after arithmetic, which a shell evaluates"),
            ('run "$[ {x} ]"', "after a command substitution in double quotes"),
            ("run ${{y:-{x}}}", "in ${...}"),
            ('run "${{y:-"{x}"}}"', "after quotes or expansions in ${...}"),
            ("run $'it\\'s {x}'", "after $'...', which not every shell reads alike"),
        ],
    )
    def test_what_no_quoting_makes_safe_is_refused(self, text, reason):
        with pytest.raises(SpecError) as caught:
            template.parse(text, HERE)
        lines = text.split("\n")
        line = next(n for n, shown in enumerate(lines, 1) if "{x}" in shown)
        place = f" (line {line} of the script)" if "\n" in text else ""
        assert f"the placeholder {{x}} stands {reason}{place}:" in caught.value.message
        assert caught.value.where == HERE
        assert "compat: raw" in (caught.value.hint or "")

    def test_all_that_cannot_be_quoted_is_named(self):
        with pytest.raises(SpecError) as caught:
            template.parse("run {a}\n# {b}\nrun `{x}\n\nrun {y} {z[k]}", HERE)
        assert "the placeholder {x} stands after a backquote (line 3 of the script):" in caught.value.message
        assert "\n2 more cannot be quoted: {y} in line 5, {z[k]} in line 5" in (caught.value.hint or "")
        with pytest.raises(SpecError) as caught:
            template.parse("`{x}" + "".join(f" {{p{n}}}" for n in range(12)), HERE)
        assert (caught.value.hint or "").endswith(
            "12 more cannot be quoted: " + "{p0}, {p1}, {p2}, {p3}, {p4}, {p5}, {p6}, {p7}, {p8}, {p9}, ..."
        )

    @pytest.mark.parametrize("text", ["{x", "x}", "{x}}", "{{{x"])
    def test_braces_must_pair(self, text):
        with pytest.raises(SpecError, match="the braces do not pair"):
            template.parse(text, HERE)

    @pytest.mark.parametrize(
        "text",
        ["{}", "{a.b}", "{a.__class__}", "{a[0].b}", "{a[b][c}", "{print $1}", "{ a }", "{[a]}", "{!r}", "{a[[b]]}"],
    )
    def test_a_placeholder_is_a_name_and_keys(self, text):
        """No attributes: a value has none, and `__class__` would lead out of it."""
        with pytest.raises(SpecError, match=r"is not a placeholder|the braces do not pair"):
            template.parse(text, HERE)
        with pytest.raises(SpecError, match=r"is not a placeholder|the braces do not pair"):
            template.parse(text, HERE, raw=True)

    @pytest.mark.parametrize(
        ("text", "field"),
        [
            ("{a}", Field("a")),
            ("{0}", Field("0")),
            ("{a-b}", Field("a-b")),
            ("{a!r}", Field("a", conversion="r")),
            ("{a:>5}", Field("a", spec=">5")),
            ("'{seed:04d}'", Field("seed", "single", spec="04d")),
            ("{model[mass]}", Field("model", items=("mass",))),
            ('"{m[a b][0]!s:3}"', Field("m", "double", "", ("a b", "0"), "3", "s")),
        ],
    )
    def test_python_formats_are_placeholders(self, text, field):
        assert field in template.parse(text, HERE).parts

    @given(
        st.lists(st.sampled_from(["{x}", "{{", "}}", "'", '"', "$", "\\", "#", " ", "\n", "<", "(", "a"]), max_size=8)
    )
    def test_a_template_is_its_parts_or_refused(self, pieces):
        text = "".join(pieces)
        try:
            parsed = template.parse(text, HERE)
        except SpecError:
            return
        assert "".join(p if isinstance(p, str) else "{x}" for p in parsed.parts) == text.replace("{{", "{").replace(
            "}}", "}"
        )


@pytest.mark.parametrize("shell", SHELLS)
class TestInARealShell:
    @pytest.mark.parametrize("script", [False, True], ids=["command", "script"])
    def test_hostile_values_arrive_literally_wherever_they_stand(self, shell, script):
        for value in strategies.HOSTILE:
            got = words(
                "{x} '{x}' \"{x}\" a{x}b 'a {x} b' \"a {x} b\" {x}{x}", {"x": value}, shell=shell, script=script
            )
            expected = [value, value, value, f"a{value}b", f"a {value} b", f"a {value} b", value + value]
            assert got == expected

    @settings(max_examples=60, deadline=None)
    @given(value=strategies.hostile, other=strategies.hostile)
    def test_any_value_arrives_literally(self, shell, value, other):
        assume("[" not in value + other)  # with a command behind it, that is refused
        got = words("{x} '{x}{y}' \"{y}:{x}\" {y}", {"x": value, "y": other}, shell=shell)
        assert got == [value, value + other, f"{other}:{value}", other]

    @settings(max_examples=150, deadline=None)
    @given(pieces=st.lists(st.sampled_from(SHELL_PIECES), min_size=1, max_size=6), value=st.sampled_from(ATTACKS))
    @example(["\\", "{x}"], "; echo PWNED >&2 #")
    @example(["$((", "{x}", "))"], "$(echo PWNED >&2)")
    @example(['"${{y:-"', "{x}", '"}}"'], "$(echo PWNED >&2)")
    @example(["echo #'", "\n", "{x}"], "'; echo PWNED >&2 #")
    @example(["$'\\''", "{x}", "'"], "'; echo PWNED >&2 #")
    def test_no_accepted_template_lets_a_value_run(self, shell, pieces, value):
        text = "".join(pieces)
        try:
            call = invoked(step(text, {"x": value}))
        except SpecError:
            return
        argv = (shell, "-c", f"exec 2>&1 >/dev/null </dev/null\ncd /\n{call.argv[2]}")
        # an empty PATH: `echo` is built in, and nothing else that the pieces happen to spell can start
        done = subprocess.run(argv, env={"PATH": "/nonexistent", **call.env}, capture_output=True, check=False)
        assert b"PWNED" not in done.stdout.splitlines()

    def test_lists_are_words_when_free_and_one_word_in_quotes(self, shell):
        values = ("a b", "$(id)", "", "'")
        assert words("{x}", {"x": values}, shell=shell) == list(values)
        assert words("'{x}'", {"x": values}, shell=shell) == ["a b $(id)  '"]
        assert words('"{x}"', {"x": values}, shell=shell) == ["a b $(id)  '"]

    @pytest.mark.parametrize("value", [*strategies.HOSTILE, "case", "if"])
    def test_substitutions_in_double_quotes_begin_afresh(self, shell, value):
        text = '"<$(printf \'(%s\' {x} \'{x}\' "{x}" "a$(printf %s. \')\' {x})b"; printf .)>{x}" "$((1 + (2))){x}" {x}'
        inner = "".join(f"({word}" for word in (value, value, value, f"a).{value}.b"))
        assert words(text, {"x": value}, shell=shell) == [f"<{inner}.>{value}", f"3{value}", value]

    def test_lists_in_substitutions_are_words(self, shell):
        assert words("\"$(printf '[%s]' {x})\"", {"x": ("a b", "$(id)", "case")}, shell=shell) == ["[a b][$(id)][case]"]

    @pytest.mark.parametrize("value", ["a\nprintf PWNED", "it's", "\\"])
    def test_a_comment_takes_no_value(self, shell, value):
        made = invoked(step("printf '%s\\0' a # {x}\nprintf '%s\\0' {x}", {"x": value}))
        assert made.argv[-1].startswith("printf '%s\\0' a # x\n")
        assert words("a # {x}\nprintf '%s\\0' {x}", {"x": value}, shell=shell) == ["a", value]

    def test_leading_dashes_are_passed_on(self, shell):
        assert words("x {x}", {"x": "--help"}, shell=shell) == ["x", "--help"]


class TestInvocation:
    def test_scalars_are_written_as_python_writes_them(self):
        given = {"a": 1, "b": 1.0, "c": True, "d": None, "e": 1e-7}
        assert words("{a} {b} {c} {d} {e}", given) == ["1", "1.0", "True", "None", "1e-07"]

    def test_a_nul_byte_is_refused(self):
        with pytest.raises(SpecError, match="'x' of one/0 holds a NUL"):
            invoked(step("{x}", {"x": "a\0b"}))

    @pytest.mark.parametrize("value", [{"a": 1}, (("a",),)])
    def test_nested_values_are_refused(self, value):
        with pytest.raises(SpecError, match="the parameter 'x' of one/0 is nested"):
            invoked(step("{x}", {"x": value}))

    def test_an_unknown_placeholder_names_the_parameters(self):
        with pytest.raises(SpecError, match=r"has \{y\}") as caught:
            invoked(step("{y}", {"x": 1}))
        assert "its parameters: x" in (caught.value.hint or "")

    def test_paths_are_those_inside_the_container(self):
        made = step(
            "{here} {there} {list}",
            {
                "here": Path((Dir(StepId("one")), "/out put")),
                "there": Path((Dir(StepId("b")), "/b")),
                "list": (Path((Dir(StepId("a", 1)), "/a")), Path((Dir(StepId("b")), "/c"))),
            },
        )
        assert invoked(made).argv == ("sh", "-c", "'/workdir/out put' /inputs/1/b /inputs/0/a /inputs/1/c")
        assert made.input_dirs() == (StepId("a", 1), StepId("b"))

    def test_a_script_goes_to_the_interpreters_input(self):
        call = invoked(step("echo {x}\n", {"x": "a b"}, script=True))
        assert call.argv == ("sh",)
        assert call.stdin == "echo 'a b'\n"

    def test_a_value_that_upstream_would_have_split_is_warned_of(self):
        odd = invoked(step("run {x} {y}", {"x": "a b", "y": "plain"})).warnings
        assert len(odd) == 1
        assert "'x'" in odd[0]
        assert "`compat: raw` under `steps.one`" in odd[0]
        assert invoked(step("run {x}", {"x": "a.b/c:d=e,f+g@h%i-j"})).warnings == ()

    def test_raw_substitutes_as_upstream_does_and_does_not_warn(self):
        call = invoked(step("echo $({x}) '{x}'", {"x": "echo a b"}, raw=True))
        assert call.argv[2] == "echo $(echo a b) 'echo a b'"
        assert call.warnings == ()
        assert not call.env
