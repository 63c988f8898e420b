"""Bounded YAML: what it reads, what it refuses, and where it says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
import strategies
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recast_dm.errors import Location, SpecError
from recast_dm.spec import text

WORKFLOW = """\
stages:
  - name: one
    dependencies: [init]
    scheduler: &scheduler
      scheduler_type: singlestep-stage
      parameters: {a: 'x', "b": 1.5}
      step: {$ref: 'steps.yml#/one'}
  - name: two
    scheduler:
      <<: *scheduler
      script: |
        echo {a}
"""


def refusal(source: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        text.parse(source, "w.yml")
    return caught.value


class TestBounds:
    def test_depth_at_the_limit_is_read(self):
        depth = text.MAX_DEPTH
        assert text.parse("[" * depth + "]" * depth).plain() is not None

    @pytest.mark.parametrize("source", ["[" * 66 + "]" * 66, "{a: " * 66 + "1" + "}" * 66, "[" * 100_000])
    def test_depth_beyond_the_limit_is_refused_where_it_is_reached(self, source):
        error = refusal(source)
        assert "nested more than 64 levels deep" in error.message
        assert error.where is not None
        assert error.where.line == 1

    def test_depth_counts_with_aliases_expanded(self):
        forty, closed = "[" * 40, "]" * 40
        source = f"a0: &a0 {forty}{closed}\n"
        source += "".join(f"a{n}: &a{n} {forty}*a{n - 1}{closed}\n" for n in range(1, 60))
        assert refusal(source).where == Location("w.yml", 2, 23)

    def test_billion_laughs_are_refused_within_100_ms(self):
        source = "a: &a [x,x,x,x,x,x,x,x,x]\n"
        source += "".join(
            f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
        )
        began = time.process_time()
        error = refusal(source)
        assert time.process_time() - began < 0.1
        assert "with aliases expanded" in error.message

    def test_alias_count_is_bounded(self):
        allowed = "a: &a 1\nb: [" + ",".join(["*a"] * text.MAX_ALIASES) + "]"
        assert len(text.parse(allowed).plain()["b"]) == text.MAX_ALIASES
        assert "more than 1000 aliases" in refusal(allowed.replace("[", "[*a,")).message

    @pytest.mark.parametrize("many", ["{" + ",".join(["<<: *a"] * 300) + "}", "[" + ",".join(["{<<: *a}"] * 300) + "]"])
    def test_merges_are_bounded_in_time(self, many):
        source = "a: &a {" + ",".join(f"k{n}: 1" for n in range(20_000)) + f"}}\nb: {many}\n"
        began = time.process_time()
        refusal(source)
        assert time.process_time() - began < 2

    def test_too_large_a_file_is_refused_unread(self, tmp_path, monkeypatch):
        file = tmp_path / "big.yml"
        file.write_bytes(b"#" * (text.MAX_BYTES + 1))
        monkeypatch.setattr(text.Path, "open", lambda *_a, **_k: pytest.fail("it was read"))
        with pytest.raises(SpecError, match=r"4194305 bytes; a specification may have 4194304"):
            text.read(file)

    def test_too_long_a_text_is_refused(self):
        assert "longer than" in refusal(" " * (text.MAX_BYTES + 1)).message

    def test_a_file_that_grows_while_it_is_read_is_refused(self, tmp_path, monkeypatch):
        file = tmp_path / "grows.yml"
        file.write_bytes(b"# small\n")
        about = file.stat()
        file.write_bytes(b"#" * (text.MAX_BYTES + 1))
        monkeypatch.setattr(text.Path, "stat", lambda *_a, **_k: about)
        with pytest.raises(SpecError, match=r"4194305 bytes; a specification may have 4194304"):
            text.read(file)

    def test_what_is_not_a_regular_file_is_not_opened(self, tmp_path):
        os.mkfifo(tmp_path / "fifo.yml")
        for endless in (tmp_path / "fifo.yml", text.Path("/dev/zero")):
            with pytest.raises(SpecError, match="is not a regular file"):
                text.read(endless)

    @pytest.mark.parametrize("source", ["[" + "1," * 400_000 + "1]", "- {}\n" * 400_000, "a: 1\n" + "- 1\n"])
    def test_the_number_of_values_is_bounded_while_they_are_read(self, source):
        began = time.process_time()
        error = refusal(source)
        assert time.process_time() - began < 5
        assert error.where is not None
        if len(source) > 100:
            assert error.message == f"more than {text.MAX_NODES} values"

    @pytest.mark.parametrize(
        "source", ["1:" * 1_000_000 + "x", "1" * 20_000, "1:" * 20_000 + "1.0x", "1" + "_" * 20_000]
    )
    def test_what_might_be_an_endless_number_is_refused(self, source):
        error = refusal("a: " + source)
        assert "a number of " in error.message
        assert text.parse(f"a: '{source}'").plain() == {"a": source}

    def test_a_long_text_is_a_text(self):
        for source in ("abcdef" * 10_000, "x" * 1_000_000, "1" * 20_000 + " events"):
            assert text.parse("a: " + source).plain() == {"a": source}

    def test_a_long_key_is_shortened_in_the_error(self):
        source = f"? {'k' * 100_000}\n: 1\n" * 2
        assert len(refusal(source).message) < 100

    def test_huge_integers_are_refused(self):
        assert "not a YAML int" in refusal("a: " + "9" * 5000).message

    @pytest.mark.parametrize("word", [".inf", "-.INF", ".nan", "1.0e+999", "!!float nan", "!!float '1e999'"])
    def test_numbers_that_are_not_finite_are_refused(self, word):
        error = refusal(f"a: 1\nb: {word}")
        assert "is not a YAML float" in error.message
        assert error.where == Location("w.yml", 2, 4)


# The peak of this process alone: getrusage's ru_maxrss would begin at the peak of the process that started it.
MEASURE = """
import json, re, sys, time
from pathlib import Path
from recast_dm.errors import SpecError
from recast_dm.spec import text

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

file = Path(sys.argv[1])
text.parse("a: [1, x]")
before, began = peak(), time.process_time()
try:
    text.read(file)
    said = "read"
except SpecError as error:
    said = str(error)
print(json.dumps([said, time.process_time() - began, peak() - before]))
"""

BOMBS = {
    "aliases": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)),
    "merges": "a: &a {" + ",".join(f"k{n}: 1" for n in range(5_000)) + "}\nb: {<<: [" + ",".join(["*a"] * 999) + "]}",
    "flow lists": "[" * 100_000,
    "flow mappings": "{a: " * 100_000,
    "block lists": "- " * 100_000,
    "block mappings": "".join(" " * n + "a:\n" for n in range(2_000)),
    "a scalar of 100 MB": "a: " + "x" * 100_000_000,
    "quoted scalar of 100 MB": "a: '" + "x" * 100_000_000 + "'",
    "duplicate keys": "a: 1\nb: 2\na: 3\n",
    "python tags": "a: !!python/object/apply:os.system [id]\n",
    "python module": "!!python/module:os x\n",
    "a number of 4 MB": "a: " + "1:" * 2_000_000 + "1",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_within_64_mb(bomb, tmp_path, record_property):
    """The aim is 100 ms: that is reported, and asserted with a wide margin, because machines are shared."""
    file = tmp_path / "bomb.yml"
    file.write_text(BOMBS[bomb])
    measured = subprocess.run([sys.executable, "-c", MEASURE, str(file)], capture_output=True, text=True, check=True)
    said, seconds, megabytes = json.loads(measured.stdout)
    record_property("seconds", seconds)
    record_property("megabytes", megabytes)
    print(f"{bomb}: {seconds * 1000:.1f} ms, {megabytes:.1f} MB")
    assert said.startswith(str(file)), said
    assert megabytes < 64
    assert seconds < 2


class TestRefused:
    @pytest.mark.parametrize(
        ("source", "message", "line", "column"),
        [
            ("a: 1\nb:\n  c: 1\n  c: 2\n", "the key 'c' stands here twice", 4, 3),
            ("1: a\n'1': b\n", "the key '1' stands here twice", 2, 1),
            ("a: &a {x: 1}\nb: {<<: *a, <<: *a}\n", "the key '<<' stands here twice", 2, 13),
            ("a: !!python/object/apply:os.system ['id']", "python/object/apply:os.system' is not allowed", 1, 4),
            ("a: !!python/name:os.system x", "is not allowed", 1, 4),
            ("a: !mine 1", "the tag '!mine' is not allowed", 1, 4),
            ("a: !!binary aGk=", "is not allowed", 1, 4),
            ("a: !!set {x}", "is not allowed", 1, 4),
            ("? [a]\n: 1\n", "a key must be a text or a number", 1, 3),
            ("a: *nowhere", "nowhere", 1, 4),
            ("a: &a [*a]", "has no anchor before it", 1, 8),
            ("a: 1\n---\nb: 2\n", "a second YAML document", 2, 1),
            ("a: [1, 2\nb: 3\n", "not valid YAML", 2, 2),
            ("a: 'open", "not valid YAML", 1, 9),
            ("<<: 1", "`<<` merges mappings only", 1, 5),
            ("a: !!int x", "'x' is not a YAML int", 1, 4),
            ("a: !!bool maybe", "'maybe' is not a YAML bool", 1, 4),
            ("", "the file is empty", 1, 1),
            ("# only a comment\n", "the file is empty", 1, 1),
            ("a: \x07", "not valid YAML", 1, 1),
            ("a: \ud800", "not Unicode text", 1, 1),
        ],
    )
    def test_says_what_and_where(self, source, message, line, column):
        error = refusal(source)
        assert message in error.message
        assert error.where == Location("w.yml", line, column)

    def test_a_second_key_points_to_the_first(self):
        assert refusal("a: 1\nb: 2\na: 3").hint == "keep one of them; the first is at w.yml:1:1"

    @pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \xc3\x28"])
    def test_bytes_that_are_not_utf8(self, tmp_path, content):
        file = tmp_path / "w.yml"
        file.write_bytes(content)
        with pytest.raises(SpecError, match="not UTF-8"):
            text.read(file)

    def test_a_missing_file_and_a_directory(self, tmp_path):
        with pytest.raises(SpecError, match="does not exist"):
            text.read(tmp_path / "none.yml")
        with pytest.raises(SpecError, match="is a directory"):
            text.read(tmp_path)


class TestLocations:
    def test_every_value_knows_where_it_was_written(self):
        root = text.parse(WORKFLOW, "w.yml")
        assert root.at(("stages", 1)).where == Location("w.yml", 8, 5)
        assert root.at(("stages", 0, "dependencies", 0)).where == Location("w.yml", 3, 20)
        assert root.at(("stages", 0, "scheduler", "parameters", "b")).where == Location("w.yml", 6, 33)
        assert root.at(("stages", 1, "scheduler", "script")).where == Location("w.yml", 11, 15)

    def test_a_merged_value_keeps_its_own_place(self):
        merged = text.parse(WORKFLOW).at(("stages", 1, "scheduler", "scheduler_type"))
        assert merged.where.line == 5

    def test_at_stops_at_the_deepest_node_that_exists(self):
        root = text.parse("a: {b: [1]}")
        assert root.at(("a", "b", 7, "c")) is root.at(("a", "b"))
        assert root.at(("x",)) is root


class TestValues:
    def test_merges_as_pyyaml_does(self):
        source = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {b: 9, <<: [*x, *y]}\nw: {<<: [*y, *x]}\n"
        assert text.parse(source).plain() == yaml.safe_load(source)

    def test_a_quoted_merge_key_is_a_key(self):
        assert text.parse("'<<': 1").plain() == {"<<": 1}

    def test_a_date_stays_text(self):
        assert text.parse("a: 2024-01-01").plain() == {"a": "2024-01-01"}

    def test_json_is_read(self):
        assert text.parse('{"a": [1, 2.5, null, true, "x\\u00e9"]}').plain() == {"a": [1, 2.5, None, True, "xé"]}

    @given(strategies.documents, st.booleans())
    def test_a_dumped_document_reads_back(self, document, flow):
        dumped = yaml.safe_dump(document, default_flow_style=flow, allow_unicode=True)
        assert exactly(text.parse(dumped).plain()) == exactly(document)

    @given(strategies.plain_scalars)
    def test_plain_scalars_agree_with_pyyaml(self, word):
        try:
            expected = yaml.safe_load(f"a: {word}\n")["a"]
        except (yaml.YAMLError, ValueError):
            with pytest.raises(SpecError):
                text.parse(f"a: {word}\n")
            return
        assert exactly(text.parse(f"a: {word}\n").plain()["a"]) == exactly(expected)


class TestMutations:
    """Whatever is done to a text, it is read or it is a SpecError with a place."""

    @settings(max_examples=400, deadline=None)
    @given(st.data())
    def test_mutated_text_gives_a_document_or_a_spec_error(self, data):
        source = list(WORKFLOW)
        for _ in range(data.draw(st.integers(1, 6))):
            place = data.draw(st.integers(0, len(source)))
            length = data.draw(st.integers(0, 5))
            source[place : place + length] = data.draw(st.text(st.characters(), max_size=4) | FRAGMENTS)
        reads_or_refuses("".join(source))

    @settings(max_examples=300, deadline=None)
    @given(st.text(st.characters(), max_size=40) | st.lists(st.deferred(lambda: FRAGMENTS), max_size=12).map("".join))
    @example("%YAML 2.0\n---\n")
    @example("...\n")
    @example("\ufeffa: 1")
    @example("--- !!int")
    def test_any_text_gives_a_document_or_a_spec_error(self, source):
        reads_or_refuses(source)


# fmt: off
FRAGMENTS = st.sampled_from(
    ["&a ", "*a", "!!int ", "!!python/none ", "<<: ", "{", "}", "[", "]", ": ", "- ", "\n", "  ", "|\n", ">-\n",
     "---\n", "'", '"', "\\x", "%TAG ! x\n", "!", "!!float 1:", "? ", "#", "\t", "0x", "0b_", "1:99", "\x85", "\u2028",
     "@", "`"]
)
# fmt: on


def reads_or_refuses(source: str) -> None:
    try:
        text.parse(source, "w.yml").plain()
    except SpecError as caught:
        error = caught
    else:
        return
    assert error.where is not None
    assert error.where.line >= 1


def exactly(value: object) -> object:
    """A value whose equality tells 1 from 1.0 and True."""
    if isinstance(value, dict):
        return {key: exactly(item) for key, item in value.items()}
    if isinstance(value, list):
        return [exactly(item) for item in value]
    return (type(value), repr(value))
