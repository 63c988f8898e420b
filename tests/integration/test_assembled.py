"""Assembled images: the same bytes wherever they are made, what docker makes of the same Dockerfile, and they run."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from preserving import capture

from containers.assembler import base, context, wheels
from recast_dm import store
from recast_dm.images import layout
from recast_dm.images.blobs import Blobs
from recast_dm.images.engine import load
from recast_dm.images.layout import Layout, Stored
from recast_dm.images.sources import FromEngine, FromLayout
from recast_dm.images.unpack import unpack
from recast_dm.runtimes import Runtime
from recast_dm.runtimes.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "build/images"
TOY = "recast-dm/toy:1.0"
TOYS = Path("tests/containers/toy")


def taken(reference: str, shared: Blobs) -> Stored:
    found = FromLayout(IMAGES).take([reference], shared).get(reference)
    assert found is not None, "`make test` assembles it; by hand: containers/build.sh DIR"
    return replace(found, original=None)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox) -> Path:
    """A cache with the base image, for images that are assembled for the sandbox."""
    assert sandbox.about().name == "sandbox"
    return tmp_path_factory.mktemp("cache of the assembler")


@pytest.fixture
def workshop(tmp_path: Path, cache: Path) -> Path:
    return prepared(tmp_path / "workshop", cache)


def prepared(place: Path, cache: Path) -> Path:
    """A place where images can be assembled: the base and the wheels are there."""
    shared = Blobs(cache / "images")
    layout.write(place / "build/images", [taken(base.REFERENCE, shared)], shared)
    (place / "build/wheels").symlink_to(ROOT / "build/wheels")
    return place


def assemble(place: Path, cache: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "RECAST_DM_CACHE_DIR": str(cache), "RECAST_DM_RUNTIME": "sandbox"}
    env["DOCKER_HOST"] = "unix:///nonexistent"  # its images are none of the sandbox's here
    argv = [sys.executable, "-m", "containers.assembler", str(directory)]
    return subprocess.run(argv, cwd=place, env=env, capture_output=True, text=True, check=False)


def blobs(place: Path) -> list[str]:
    return sorted(path.name for path in (place / "build/images/blobs/sha256").iterdir())


# --- the same bytes --------------------------------------------------------------------------------------------------


def test_two_places_make_the_same_bytes_and_nothing_is_made_twice(workshop: Path, cache: Path, tmp_path: Path) -> None:
    other = prepared(tmp_path / "another place", tmp_path / "cache")
    for place, own in ((workshop, cache), (other, tmp_path / "cache")):
        done = assemble(place, own, TOYS)
        assert done.returncode == 0, done.stderr
        assert f"{TOY} is built" in done.stderr
    assert blobs(workshop) == blobs(other)
    index = (workshop / "build/images/index.json").read_bytes()
    assert index == (other / "build/images/index.json").read_bytes()
    assert f"{TOY} is up to date" in assemble(other, tmp_path / "cache", TOYS).stderr
    assert (other / "build/images/index.json").read_bytes() == index
    shutil.rmtree(other / "build")  # `make clean`: what the runtime has is not made anew
    assert f"{TOY} is up to date" in assemble(other, tmp_path / "cache", TOYS).stderr
    assert blobs(other) == blobs(workshop)


def test_every_image_stands_on_one_base_and_says_nothing_of_this_machine(tmp_path: Path) -> None:
    shared = Blobs(tmp_path / "images")
    images = Layout(IMAGES).images()
    assert len({each.layers[0].digest for each in images}) == 1
    toy = taken(TOY, shared)
    unpack(shared.root, toy.layers, tmp_path / "tree")
    assert toy.image.config["env"] == sorted(base.ENV)
    assert {each["created"] for each in [toy.config, *toy.config["history"]]} == {base.CREATED}
    for name in ("etc/hostname", "etc/resolv.conf"):
        assert not (tmp_path / "tree" / name).exists()
    assert not any((tmp_path / "tree/var/log").iterdir())
    for path in (tmp_path / "tree/opt/toy", tmp_path / "tree/usr/local"):
        for file in path.rglob("*"):
            assert not file.is_file() or str(ROOT).encode() not in file.read_bytes()


# --- an image that is not right has no name --------------------------------------------------------------------------


@pytest.fixture
def broken(workshop: Path) -> Path:
    """A container directory like the toy's, to be spoilt."""
    directory = workshop / "spoilt"
    shutil.copytree(ROOT / TOYS, directory)
    return directory


def test_a_check_that_fails_is_said_with_its_line_and_the_image_gets_no_name(
    workshop: Path, cache: Path, broken: Path
) -> None:
    with (broken / "Dockerfile").open("a") as file:
        file.write("\nRUN python3 -c 'import no_such_module'\n")
    done = assemble(workshop, cache, broken)
    assert done.returncode == 1
    assert "No module named 'no_such_module'" in done.stderr
    number = (broken / "Dockerfile").read_text().splitlines().index("RUN python3 -c 'import no_such_module'") + 1
    assert f"{broken}/Dockerfile:{number}:1: the check of recast-dm/spoilt:1.0" in done.stderr
    assert "Traceback" not in done.stderr.partition("its last lines")[0]
    assert [each.image.reference for each in Layout(workshop / "build/images").images()] == [base.REFERENCE]
    assert Sandbox(cache).images.find("recast-dm/spoilt:1.0") is None


@pytest.mark.parametrize(
    "attempt",
    ["touch /opt/toy/x", "touch /x", "python3 -c 'import socket; socket.create_connection((\"192.0.2.1\", 9), 5)'"],
)
def test_a_check_can_neither_change_its_image_nor_reach_a_network(
    workshop: Path, cache: Path, broken: Path, attempt: str
) -> None:
    with (broken / "Dockerfile").open("a") as file:
        file.write(f"\nRUN {attempt}\n")
    assert assemble(workshop, cache, broken).returncode == 1


def test_a_changed_wheel_stops_the_image(workshop: Path, cache: Path, broken: Path) -> None:
    lock = broken / "requirements.txt"
    words = lock.read_text().split("sha256:")
    lock.write_text("sha256:".join([words[0], *(f"{'0' * 64}{each[64:]}" for each in words[1:])]))
    done = assemble(workshop, cache, broken)
    assert done.returncode == 5, done.stderr
    assert "a wheel is not the one that is locked" in done.stderr
    assert "Traceback" not in done.stderr


# --- the Dockerfile is its recipe ------------------------------------------------------------------------------------


@pytest.fixture
def classic(docker: Runtime, tmp_path: Path) -> Iterator[str]:
    """A name for what docker's own builder makes, on the base that the assembler uses."""
    shared = Blobs(tmp_path / "base")
    base_here = docker.image(base.REFERENCE)
    wanted = taken(base.REFERENCE, shared)
    if base_here is None or base_here.diff_ids != wanted.image.diff_ids:
        load("docker", shared.root, [wanted], [[base.REFERENCE]])
    name = f"recast-dm/classic-{uuid4().hex[:8]}:1.0"
    yield name
    subprocess.run(["docker", "rmi", "--force", name], capture_output=True, check=False)


def entries(tree: Path) -> dict[str, tuple[str, ...]]:
    """Every path of a tree: kind, rights and bytes. Compiled modules hold times, so they are not compared."""
    found = {}
    for directory, names, files in os.walk(tree):
        names[:] = [name for name in names if name != "__pycache__"]
        for name in [*names, *files]:
            path = Path(directory) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                about = ("link", str(path.readlink()))
            elif stat.S_ISREG(mode):
                about = (oct(mode), _bytes(path))
            else:
                about = (oct(mode),)
            found[str(path.relative_to(tree))] = about
    return found


def _bytes(path: Path) -> str:
    """The hash of a file; what pip notes of an installation names compiled modules, which are left out."""
    if path.name == "RECORD":
        lines = [line for line in path.read_text().splitlines() if "__pycache__" not in line]
        return store.sha256_name("\n".join(lines).encode())
    return store.sha256_file(path)


@pytest.mark.parametrize("directory", ["tests/containers/toy", "containers/monojet-pyhf"])
def test_docker_makes_the_same_of_the_dockerfile(classic: str, tmp_path: Path, directory: str) -> None:
    place = tmp_path / "context"
    context.gather(ROOT, Path(directory), place)
    wheels.fetch(ROOT, place, ROOT / "build/wheels", "classic", tmp_path / "wheels.log")
    build = ["docker", "build", "--network", "none", "--force-rm", "--build-arg", f"BASE={base.REFERENCE}"]
    done = subprocess.run(
        [*build, "--tag", classic, str(place)],
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    shared = Blobs(tmp_path / "images")
    theirs = FromEngine("docker").take([classic], shared)[classic]
    ours = taken(context.reference(Path(directory)), shared)
    trees = {}
    for name, each in (("theirs", theirs), ("ours", ours)):
        unpack(shared.root, each.layers, tmp_path / name)
        trees[name] = entries(tmp_path / name)
    differing = {
        path for path in trees["ours"] | trees["theirs"] if trees["ours"].get(path) != trees["theirs"].get(path)
    }
    assert differing == set()
    assert ours.image.platform == theirs.image.platform
    settings = [each.config["config"] for each in (ours, theirs)]
    assert sorted(settings[0]["Env"]) == sorted(settings[1]["Env"])
    for name in ("Cmd", "Entrypoint", "WorkingDir", "User", "Volumes", "ExposedPorts"):
        assert (settings[0].get(name) or None) == (settings[1].get(name) or None), name


# --- docker runs the very layers that the sandbox runs ---------------------------------------------------------------


def test_a_capsule_gives_the_same_keys_and_bytes_in_docker_and_in_a_sandbox_that_never_saw_docker(
    docker: Runtime, sandbox: Sandbox, tmp_path: Path
) -> None:
    assert {docker.about().name, sandbox.about().name} == {"docker", "sandbox"}
    capsule = capture(
        ROOT / "tests/analyses/toy", tmp_path / "toy.capsule", FromLayout(IMAGES), tmp_path / "images"
    ).path
    here, pinned = docker.image(TOY), taken(TOY, Blobs(tmp_path / "images")).image
    assert here is not None
    assert (here.diff_ids, here.config) == (pinned.diff_ids, pinned.config), "containers/build.sh tests/containers/toy"
    results = {}
    for name, more in (("docker", {}), ("sandbox", {"DOCKER_HOST": "unix:///nonexistent"})):
        argv = [str(Path(sys.executable).with_name("recast-dm")), "run", str(capsule), "--runtime", name, "--no-cache"]
        env = {**os.environ, "RECAST_DM_CACHE_DIR": str(tmp_path / f"cache of {name}"), **more}
        target = tmp_path / name
        done = subprocess.run([*argv, "--workdir", str(target)], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found = {path: json.loads(path.read_bytes()) for path in sorted((target / ".records").rglob("*.json"))}
        assert {each["execution"]["runtime"]["name"] for each in found.values()} == {name}
        keys = {str(path.relative_to(target)): each["key"] for path, each in found.items()}
        steps = [target / Path(key).relative_to(".records").with_suffix("") for key in keys]
        files = [path for step in steps for path in step.rglob("*") if path.is_file()]
        results[name] = (keys, {str(path.relative_to(target)): store.sha256_file(path) for path in files})
    assert results["docker"][0]
    assert results["docker"][1]
    assert results["docker"] == results["sandbox"]
