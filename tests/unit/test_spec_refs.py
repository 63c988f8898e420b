"""`$ref`: what it finds, and how it refuses to be led astray."""

from __future__ import annotations

import pytest

from recast_dm.errors import Location, SpecError
from recast_dm.spec import refs, text


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files by name below the current directory."""
    monkeypatch.chdir(tmp_path)

    def write(**files: str) -> None:
        for name, content in files.items():
            (tmp_path / f"{name}.yml").write_text(content)

    return write


def load(tmp_path, name="w.yml"):
    return refs.load(tmp_path / name, tmp_path)


def refusal(tmp_path) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load(tmp_path)
    return caught.value


def test_references_resolve_across_files_and_keep_their_places(write, tmp_path):
    write(w="a: {$ref: 's.yml#/x/1'}\nb: {$ref: '#/c'}\nc: 3\n", s="x:\n- 1\n- y: {$ref: '#/z'}\nz: [deep]\n")
    root = load(tmp_path)
    assert root.plain() == {"a": {"y": ["deep"]}, "b": 3, "c": 3}
    assert root.at(("a", "y")).where == Location("s.yml", 4, 4)


@pytest.mark.parametrize("reference", ["s.yml", "s.yml#", "s.yml#/", "./s.yml", "sub/../s.yml"])
def test_a_whole_file_can_be_named(write, tmp_path, reference):
    write(w=f"a: {{$ref: '{reference}'}}", s="[1]")
    assert load(tmp_path).plain() == {"a": [1]}


def test_json_pointer_escapes(write, tmp_path):
    write(w="a: {$ref: '#/x~1y/z~0'}\nx/y: {z~: 1}\n")
    assert load(tmp_path).plain()["a"] == 1


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("#/my%20steps/generate", 1),
        ("#my%20steps/generate", 1),
        ("#/my%20steps%2Fgenerate", 1),  # decoded first and cut then: upstream, and RFC 6901
        ("#/a~1b", 2),
        ("#/a~1b/", 2),
        ("#/%7E0", 3),
        ("my%20steps.yml#/x/1", "second"),
        ("my steps.yml#/x/1", "second"),
        ("100%25.yml", "all"),
    ],
)
def test_names_and_pointers_are_percent_decoded(write, tmp_path, reference, found):
    write(
        w=f"a: {{$ref: '{reference}'}}\nmy steps: {{generate: 1}}\na/b: 2\n'~': 3\n",
        **{"my steps": "x: [first, second]", "100%": "all"},
    )
    assert load(tmp_path).plain()["a"] == found


def test_the_first_document_refers_to_the_toplevel_and_only_then_beside_itself(write, tmp_path):
    (tmp_path / "sub").mkdir()
    write(both="toplevel", other="{$ref: 'beside.yml'}", beside="beside other")
    (tmp_path / "sub" / "both.yml").write_text("sub")
    (tmp_path / "sub" / "own.yml").write_text("{$ref: 'deep.yml'}")
    (tmp_path / "sub" / "deep.yml").write_text("deep")
    (tmp_path / "sub" / "w.yml").write_text(
        "a: {$ref: 'both.yml'}\nb: {$ref: 'own.yml'}\nc: {$ref: 'other.yml'}\nd: {$ref: '#/e'}\ne: 1\n"
        "f: {$ref: '../both.yml'}\n"
    )
    assert refs.load(tmp_path / "sub" / "w.yml", tmp_path).plain() == {
        "a": "toplevel",
        "b": "deep",
        "c": "beside other",
        "d": 1,
        "e": 1,
        "f": "toplevel",
    }


def test_the_first_document_reached_again_is_a_document_like_any_other(write, tmp_path):
    """Upstream gives it another base then: its references are beside it."""
    (tmp_path / "sub").mkdir()
    write(other="{$ref: 'sub/w.yml#/y'}", x="toplevel")
    (tmp_path / "sub" / "x.yml").write_text("sub")
    (tmp_path / "sub" / "w.yml").write_text("a: {$ref: 'other.yml'}\ny: {$ref: 'x.yml'}\n")
    assert refs.load(tmp_path / "sub" / "w.yml", tmp_path).plain() == {"a": "sub", "y": "toplevel"}


def test_a_document_outside_the_toplevel_may_use_both(write, tmp_path):
    for name in ("top", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "top" / "s.yml").write_text("1")
    (tmp_path / "elsewhere" / "t.yml").write_text("2")
    (tmp_path / "elsewhere" / "w.yml").write_text("a: {$ref: 's.yml'}\nb: {$ref: 't.yml'}\n")
    assert refs.load(tmp_path / "elsewhere" / "w.yml", tmp_path / "top").plain() == {"a": 1, "b": 2}
    (tmp_path / "elsewhere" / "w.yml").write_text("a: {$ref: '../secret.yml'}")
    (tmp_path / "secret.yml").write_text("3")
    with pytest.raises(SpecError, match="leaves the analysis directory"):
        refs.load(tmp_path / "elsewhere" / "w.yml", tmp_path / "top")


def test_a_pointer_follows_the_references_on_its_way(write, tmp_path):
    write(
        w="a: {$ref: '#/b/c/d'}\nb: {$ref: 's.yml#/x'}\nu: {$ref: '#/v'}\nv: {w: {$ref: '#/u/z'}, z: 5}\n",
        s="x: {c: {$ref: 't.yml'}}\n",
        t="d: 4",
    )
    assert load(tmp_path).plain() == {"a": 4, "b": {"c": {"d": 4}}, "u": {"w": 5, "z": 5}, "v": {"w": 5, "z": 5}}


def test_a_part_of_the_document_can_be_asked_for(write, tmp_path):
    write(w="a: {b: {$ref: '#/c'}}\nc: 1\n")
    assert refs.load(tmp_path / "w.yml", tmp_path, pointer="/a").plain() == {"b": 1}
    assert refs.load(tmp_path / "w.yml", tmp_path, pointer="/a/b").plain() == 1
    with pytest.raises(SpecError, match="'#/x' names 'x'"):
        refs.load(tmp_path / "w.yml", tmp_path, pointer="/x")


def test_keys_beside_a_reference_do_not_count(write, tmp_path):
    write(w="a: {$ref: '#/b', c: 1}\nb: 2\nd: {$ref: {not: a reference}}\n")
    assert load(tmp_path).plain() == {"a": 2, "b": 2, "d": {"$ref": {"not": "a reference"}}}


def test_a_file_called_like_a_forge_is_a_file(write, tmp_path):
    write(w="a: {$ref: 'gitlab.yml'}", gitlab="1")
    assert load(tmp_path).plain() == {"a": 1}


def test_references_below_a_sibling_directory_are_relative_to_their_own_file(write, tmp_path):
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "s.yml").write_text("{$ref: 't.yml'}")
    (tmp_path / "steps" / "t.yml").write_text("here")
    write(w="a: {$ref: 'steps/s.yml'}")
    assert load(tmp_path).plain() == {"a": "here"}


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("#/nope", "names 'nope', which is not in a mapping there", "known here: a, list, map"),
        ("#/map/kye", "names 'kye', which is not in a mapping there", "did you mean 'key'?"),
        ("#/list/2", "names '2', which is not in a list there", "there is none here"),
        ("#/list/-1", "names '-1', which is not in a list there", "there is none here"),
        ("none.yml#/a", "names a file that does not exist", None),
        (".", "names a file that does not exist", None),
        ("../outside.yml", "leaves the analysis directory", "copy the file into it"),
        ("/etc/passwd", "leaves the analysis directory", "copy the file into it"),
        ("https://example.org/s.yml?t=1#/a", "https://example.org/s.yml is on a server", "--allow-remote fetches it"),
        ("github:org/repo/s.yml", "is neither a file nor an address with https", "copy the file beside this one"),
        ("file:///etc/passwd", "is neither a file nor an address with https", "copy the file beside this one"),
        ("%2e%2e/outside.yml", "leaves the analysis directory", "copy the file into it"),
        ("a%00b", "names no file", None),
        ("#/list/%31%30", "names '10', which is not in a list there", "there is none here"),
        ("#/list/1²", "names '1²', which is not in a list there", "there is none here"),
        ("#/list/99999999999999999999", "is not in a list there", "there is none here"),
        ("a\\0b", "names no file", None),
        ("x" * 300, "names no file", None),
        ("loop/s.yml", "names no file", None),
    ],
)
def test_a_bad_reference_says_what_and_where(write, tmp_path, reference, message, hint):
    write(w=f'list: [1, 2]\nmap: {{key: 1}}\na:\n  $ref: "{reference}"\n')
    (tmp_path.parent / "outside.yml").write_text("1")
    (tmp_path / "loop").symlink_to("loop")
    error = refusal(tmp_path)
    assert message in error.message
    assert error.where == Location("w.yml", 4, 9)
    assert (hint is None) == (error.hint is None)
    assert (hint or "") in (error.hint or "")


def test_a_link_cannot_lead_out(write, tmp_path):
    write(w="a: {$ref: 'inside.yml'}")
    (tmp_path.parent / "secret.yml").write_text("secret")
    (tmp_path / "inside.yml").symlink_to(tmp_path.parent / "secret.yml")
    assert "leaves the analysis directory" in refusal(tmp_path).message


@pytest.mark.parametrize(
    "source",
    [
        "a: {$ref: '#/a'}",
        "a: {$ref: '#/b'}\nb: {$ref: '#/a'}",
        "a: {b: {$ref: '#/a'}}",
        "{$ref: 'w.yml'}",
        "a: {$ref: '#/a/b'}",
        "a: {$ref: '#/b/c'}\nb: {$ref: '#/a/d'}",
    ],
)
def test_circles_are_refused(write, tmp_path, source):
    write(w=source)
    assert "leads back to itself" in refusal(tmp_path).message


def test_the_number_of_references_on_the_way_is_bounded(write, tmp_path):
    write(w="".join(f"a{n}: {{$ref: '#/a{n + 1}/x'}}\n" for n in range(500)) + "a500: {x: {x: 1}}\n")
    assert "more than 64 references lead on from here" in refusal(tmp_path).message


def test_the_number_of_documents_is_bounded(write, tmp_path):
    write(w="".join(f"- {{$ref: 'd{n}.yml'}}\n" for n in range(201)), **{f"d{n}": "1" for n in range(201)})
    assert refusal(tmp_path).message == "more than 200 documents"


def test_the_number_of_references_is_bounded(write, tmp_path):
    write(w="x: 1\na:\n" + "- {$ref: '#/x'}\n" * 1001)
    error = refusal(tmp_path)
    assert error.message == "more than 1000 references"
    assert error.where == Location("w.yml", 1003, 10)


def test_the_expanded_size_is_bounded(write, tmp_path):
    write(w="a:\n" + "- {$ref: 'big.yml'}\n" * 900, big="[" + "1," * 1000 + "1]")
    assert f"more than {text.MAX_NODES} values" in refusal(tmp_path).message


def test_the_expanded_depth_is_bounded(write, tmp_path):
    levels = [f"a{n}: {'[' * 40}{{$ref: '#/a{n + 1}'}}{']' * 40}\n" for n in range(50)]
    write(w="".join(levels) + "a50: 1\n")
    assert "nested more than" in refusal(tmp_path).message
