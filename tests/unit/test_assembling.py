"""How images are put together without an engine: what is read of a Dockerfile, what becomes of files, which wheels."""

import doctest
import hashlib
import importlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from containers.assembler import __main__ as command
from containers.assembler import base, context, dockerfile, trees, wheels
from recast_dm.errors import IntegrityError, RemoteError, SpecError, UsageError

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted([*ROOT.glob("containers/*/Dockerfile"), *ROOT.glob("tests/containers/*/Dockerfile")])
PIP = 'python3 "$(echo /b/wheels/pip-*.whl)/pip" install --no-index --find-links /b/wheels --require-hashes'
STAGE = f"""ARG BASE
FROM ${{BASE}} AS wheels
COPY requirements.txt /b/requirements.txt
COPY wheels /b/wheels
RUN {PIP} --no-cache-dir --target /opt/a \\
  -r /b/requirements.txt
FROM ${{BASE}}
COPY --from=wheels /opt/a /opt/a
"""


@pytest.mark.parametrize("name", ["base", "context", "dockerfile", "assembling"])
def test_the_examples_run(name):
    tried = doctest.testmod(importlib.import_module(f"containers.assembler.{name}"))
    assert tried.failed == 0


# --- the Dockerfile --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_every_dockerfile_here_is_read(path):
    recipe = dockerfile.read(path.read_text(), str(path))
    assert recipe.packages
    assert recipe.copies
    assert recipe.checks


def test_a_dockerfile_is_read_whole():
    recipe = dockerfile.read(STAGE + "COPY code /opt/a\nENV A=1 B='x y'\n# why\nRUN true \\\n # why\n && false", "D")
    assert recipe.packages == "/opt/a"
    assert [(each.source, each.target, each.where.line) for each in recipe.copies] == [("code", "/opt/a", 9)]
    assert recipe.env == ("A=1", "B=x y")
    assert [(each.command, each.where.line) for each in recipe.checks] == [("true && false", 12)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("FROM debian", 1),
        ("ARG BASE\n", 1),
        ("ARG BASE\nFROM debian", 2),
        ("ARG BASE\nRUN true\nFROM ${BASE}", 2),
        ("ARG BASE\nFROM ${BASE}\nEXPOSE 80", 3),
        ("ARG BASE\nFROM ${BASE}\nARG OTHER", 3),
        ("ARG BASE\nFROM ${BASE}\nCOPY a b /c", 3),
        ("ARG BASE\nFROM ${BASE}\nCOPY --chown=1 a /c", 3),
        ("ARG BASE\nFROM ${BASE}\nCOPY *.py /c/d", 3),
        ("ARG BASE\nFROM ${BASE}\nCOPY ../a /c/d", 3),
        ("ARG BASE\nFROM ${BASE}\nCOPY a c", 3),
        ("ARG BASE\nFROM ${BASE}\nCOPY a /c/../d", 3),
        ("ARG BASE\nFROM ${BASE}\nCOPY a /c/", 3),
        ("ARG BASE\nFROM ${BASE}\nCOPY --from=wheels /a /a", 3),
        ("ARG BASE\nFROM ${BASE}\nENV A 1", 3),
        ("ARG BASE\nFROM ${BASE}\nENV A=$B", 3),
        ("ARG BASE\nFROM ${BASE}\nENV A='1", 3),
        ("ARG BASE\nFROM ${BASE}\nRUN true \\", 3),
        ("ARG BASE\nFROM ${BASE} AS a\nFROM ${BASE}", 2),
        ("ARG BASE\nFROM ${BASE} AS a\nRUN pip install numpy\nFROM ${BASE}", 3),
        ("ARG BASE\nFROM ${BASE} AS a\nENV A=1\nFROM ${BASE}", 3),
        ("ARG BASE\nFROM ${BASE}\nFROM ${BASE}\nFROM ${BASE}", 4),
        (STAGE.replace("--require-hashes", ""), 5),
        (STAGE.replace("--no-index", ""), 5),
        (STAGE.replace("--no-cache-dir", "--pre"), 5),
        (STAGE.replace("COPY wheels /b/wheels", "COPY wheels /b/other"), 5),
        (STAGE.replace("--target /opt/a", ""), 5),
        (STAGE.replace("COPY --from=wheels /opt/a /opt/a", ""), 7),
        (STAGE.replace("COPY --from=wheels /opt/a /opt/a", "COPY --from=wheels /opt/a /opt/b"), 8),
        (STAGE.replace("COPY --from=wheels", "COPY code /opt\nCOPY --from=wheels"), 9),
    ],
)
def test_what_the_assembler_does_not_do_is_an_error_with_its_line(text, line):
    with pytest.raises(SpecError) as caught:
        dockerfile.read(text, "some/Dockerfile")
    assert (caught.value.where.file, caught.value.where.line) == ("some/Dockerfile", line)
    assert caught.value.exit_code == 3


# --- files and layers ------------------------------------------------------------------------------------------------


def written(directory: Path, place: str = "/opt/code", known: trees.Directories | None = None) -> bytes:
    tree = trees.Tree()
    tree.add(directory, place)
    out = io.BytesIO()
    tree.write(out, known or trees.Directories())
    return out.getvalue()


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: member for member in tar}


def sources(top: Path, names: list[str], time: int, mode: int) -> Path:
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(mode)
        os.utime(path, (time, time))
    (top / "run.sh").chmod(mode | 0o111)
    (top / "link").symlink_to("b/c.py")
    return top


def test_the_same_files_are_the_same_bytes_whoever_wrote_them_in_which_order(tmp_path):
    names = ["a.py", "b/c.py", "b.py", "run.sh"]
    first = sources(tmp_path / "one", names, 1, 0o600)
    second = sources(tmp_path / "two", names[::-1], 2_000_000_000, 0o664)
    (second / "b/__pycache__").mkdir()
    (second / "b/__pycache__/c.cpython-311.pyc").write_text("compiled")
    (second / "old.pyc").write_text("compiled")
    (second / ".pytest_cache").mkdir()
    (second / ".pytest_cache/x").write_text("cache")
    assert written(first) == written(second)
    found = members(written(first))
    assert list(found) == [
        "opt",
        "opt/code",
        *(f"opt/code/{n}" for n in ("a.py", "b", "b/c.py", "b.py", "link", "run.sh")),
    ]
    assert {(each.uid, each.gid, each.uname, each.mtime) for each in found.values()} == {(0, 0, "", trees.EPOCH)}
    assert (found["opt/code/a.py"].mode, found["opt/code/run.sh"].mode, found["opt/code/b"].mode) == (
        0o644,
        0o755,
        0o755,
    )
    assert found["opt/code/link"].linkname == "b/c.py"


def test_a_changed_byte_a_changed_name_or_a_changed_right_is_another_layer(tmp_path):
    top = sources(tmp_path / "one", ["a.py", "run.sh"], 1, 0o644)
    before = written(top)
    (top / "a.py").chmod(0o755)
    executable = written(top)
    (top / "a.py").chmod(0o644)
    assert written(top) == before != executable
    (top / "a.py").write_text("A.py")
    assert written(top) != before


def test_a_directory_of_the_base_stays_what_it_is_there(tmp_path):
    (tmp_path / "x").write_text("x")
    own = tarfile.TarInfo("opt")
    own.mode, own.gid, own.mtime = 0o2775, 50, 7
    found = members(written(tmp_path, known=trees.Directories({"opt": own})))
    assert (found["opt"].mode, found["opt"].gid, found["opt"].mtime) == (0o2775, 50, 7)
    assert found["opt/code"].mode == 0o755


def test_the_directories_of_a_base_are_those_of_its_layers(tmp_path):
    low, high = tarfile.TarInfo("./opt"), tarfile.TarInfo("opt/")
    for each, mode in ((low, 0o700), (high, 0o751)):
        each.type, each.mode = tarfile.DIRTYPE, mode
    tars = []
    for each in (low, high):
        tars.append(io.BytesIO())
        with tarfile.open(fileobj=tars[-1], mode="w") as tar:
            tar.addfile(each)
        tars[-1].seek(0)
    assert trees.directories_of(iter(tars)).info("opt").mode == 0o751


@pytest.mark.parametrize("target", ["../outside", "/etc/passwd", "b/../../outside", ".."])
def test_a_link_out_of_the_sources_is_refused(tmp_path, target):
    top = tmp_path / "top"
    (top / "b").mkdir(parents=True)
    (tmp_path / "outside").write_text("a secret")
    (top / "link").symlink_to(target)
    with pytest.raises(SpecError, match="leads out of"):
        written(top)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecError, match="neither a file"):
        written(tmp_path)


# --- a container directory -------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path) -> Path:
    """A repository with one container directory."""
    root = tmp_path / "repository"
    directory = root / "containers/thing"
    directory.mkdir(parents=True)
    (root / "code").mkdir()
    (root / "code/a.py").write_text("a")
    (directory / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nCOPY code /opt/code\nCOPY a.py /opt/one.py\n")
    (directory / "requirements.txt").write_text("")
    (directory / "sources").write_text("# what\n\ncode code\ncode/a.py a.py\n")
    return root


def gathered(root: Path, name: str = "context") -> Path:
    context.gather(root, Path("containers/thing"), root / name)
    return root / name


def test_a_context_holds_what_is_listed_and_its_digest_knows_all_of_it(repository):
    found = gathered(repository)
    names = sorted(str(path.relative_to(found)) for path in found.rglob("*") if path.is_file())
    assert names == ["Dockerfile", "a.py", "code/a.py", "requirements.txt"]
    before = context.digest(found)
    assert context.digest(gathered(repository, "again")) == before
    recipe = dockerfile.read((found / "Dockerfile").read_text(), "Dockerfile")
    assert [name for name, _ in context.code(found, recipe).files()] == ["opt/code/a.py", "opt/one.py"]
    (repository / "code/a.py").write_text("b")
    assert context.digest(gathered(repository, "changed")) != before


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("code", "expected 'REPO_PATH CONTEXT_PATH'"),
        ("code code more", "expected 'REPO_PATH CONTEXT_PATH'"),
        ("../code code", "expected 'REPO_PATH CONTEXT_PATH'"),
        ("code ../code", "expected 'REPO_PATH CONTEXT_PATH'"),
        ("/etc code", "expected 'REPO_PATH CONTEXT_PATH'"),
        ("nothing code", "there is no file or directory 'nothing'"),
        ("link code", "leads out of this repository"),
    ],
)
def test_a_line_of_sources_that_cannot_be_is_an_error_with_its_place(repository, line, said):
    (repository / "link").symlink_to("/etc")
    (repository / "containers/thing/sources").write_text(f"# why\n{line}\n")
    with pytest.raises(SpecError, match=said) as caught:
        gathered(repository)
    assert str(caught.value.where) == "containers/thing/sources:2:1"


@pytest.mark.parametrize("name", context.FILES)
def test_a_container_directory_has_three_files(repository, name):
    (repository / "containers/thing" / name).unlink()
    with pytest.raises(SpecError, match=f"has no file '{name}'"):
        gathered(repository)


def test_what_is_copied_must_be_in_the_context(repository):
    recipe = dockerfile.read("ARG BASE\nFROM ${BASE}\nCOPY other /opt/other", "Dockerfile")
    with pytest.raises(SpecError, match="no other in the context") as caught:
        context.code(gathered(repository), recipe)
    assert caught.value.where.line == 3


def test_directories_are_named_or_all(repository):
    assert context.directories(repository, []) == [Path("containers/thing")]
    assert context.directories(repository, ["thing", "containers/thing/"]) == [Path("containers/thing")] * 2
    with pytest.raises(UsageError, match="no container directory 'other'"):
        context.directories(repository, ["other"])


def test_a_name_that_is_none_is_one_message(capsys):
    assert command.main(["no such image"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("images: there is no container directory 'no such image'")
    assert said.out == ""


# --- wheels: the real pip, without a network -------------------------------------------------------------------------


def wheel(directory: Path, content: str = "x = 1\n") -> str:
    """A wheel. Gives its hash."""
    path = directory / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("tiny.py", content)
        file.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        file.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("tiny-1.0.dist-info/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A package index on this disk, and no other, for pip: it has what lies in this directory."""
    place = tmp_path / "index/tiny"
    place.mkdir(parents=True)
    (place / "index.html").write_text('<a href="tiny-1.0-py3-none-any.whl">tiny</a>')
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", place.parent.as_uri())
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return place


def fetched(root: Path, requirement: str) -> list[str]:
    (root / "containers/pip.txt").write_text("")
    place = gathered(root)
    (place / "requirements.txt").write_text(requirement)
    (root / "log").touch()
    wheels.fetch(root, place, root / "cache", "thing", root / "log")
    return sorted(path.name for path in (place / "wheels").iterdir())


def test_locked_wheels_come_into_the_context_and_the_cache(repository, index):
    locked = f"tiny==1.0 --hash=sha256:{wheel(index)}\n"
    assert fetched(repository, locked) == ["tiny-1.0-py3-none-any.whl"]
    assert (repository / "cache/tiny-1.0-py3-none-any.whl").is_file()


def test_a_wheel_that_is_not_the_locked_one_stops_everything(repository, index):
    locked = f"tiny==1.0 --hash=sha256:{wheel(index)}\n"
    wheel(index, "x = 'another'\n")
    with pytest.raises(IntegrityError, match="not the one that is locked") as caught:
        fetched(repository, locked)
    assert caught.value.exit_code == 5


def test_a_wheel_that_was_changed_in_the_cache_is_fetched_again(repository, index):
    locked = f"tiny==1.0 --hash=sha256:{wheel(index)}\n"
    (repository / "cache").mkdir()
    wheel(repository / "cache", "x = 'changed'\n")
    assert fetched(repository, locked) == ["tiny-1.0-py3-none-any.whl"]


def test_what_is_not_locked_is_not_installed(repository, index):
    wheel(index)
    with pytest.raises(IntegrityError, match="not hash-locked"):
        fetched(repository, "tiny==1.0\n")


def test_a_wheel_that_is_nowhere_is_said_with_pips_words(repository, index):
    with pytest.raises(RemoteError, match="No matching distribution found for tiny"):
        fetched(repository, f"tiny==2.0 --hash=sha256:{wheel(index)}\n")


# --- the base --------------------------------------------------------------------------------------------------------


def test_a_pulled_base_does_until_the_recipe_changes():
    recipe = base.recipe()
    assert base.is_made_by({base.LABEL: recipe}, recipe)
    assert base.is_made_by({base.LABEL: base.PULLED + recipe}, recipe)
    assert not base.is_made_by({base.LABEL: "another"}, recipe)
    assert not base.is_made_by({}, recipe)
