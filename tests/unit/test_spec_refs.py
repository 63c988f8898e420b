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
        ("https://example.org/s.yml", "remote reference", "copy the file beside this one"),
        ("github:org/repo/s.yml", "remote reference", "copy the file beside this one"),
        ("file:///etc/passwd", "remote reference", "copy the file beside this one"),
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
    "source", ["a: {$ref: '#/a'}", "a: {$ref: '#/b'}\nb: {$ref: '#/a'}", "a: {b: {$ref: '#/a'}}", "{$ref: 'w.yml'}"]
)
def test_circles_are_refused(write, tmp_path, source):
    write(w=source)
    assert "leads back to itself" in refusal(tmp_path).message


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
