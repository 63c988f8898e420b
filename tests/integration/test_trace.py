"""A script traced, drafted, built and run again: the draft's outputs are the script's, byte for byte."""

from __future__ import annotations

import ensurepip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import commanding
import pytest

from recast_dm import schemas, store
from recast_dm.runtimes.docker import Docker

BASE = "recast-dm/python:3.11-bookworm"

FIT = """
import json, sys
import helper
config = json.load(open("conf/fit settings.json"))
values = [float(line) for line in open(sys.argv[1])]
scale = float(sys.argv[sys.argv.index("--scale") + 1])
json.dump({"sum": helper.total(values) * scale * config["weight"]}, open(sys.argv[2], "w"))
open("hidden-output.txt", "w").write("written by name\\n")
scratch = open("scratch.tmp", "w"); scratch.write("x"); scratch.close()
assert open("scratch.tmp").read() == "x"
import os; os.remove("scratch.tmp")
"""
SCRIPT = r"""#!/bin/sh
set -e
export GREETING='good "day"' UNIT=GeV
mkdir -p out/sub
sort -n "$1" | uniq > out/sorted.txt
python3 fit.py out/sorted.txt out/fit.json --scale "$2"
for i in 1 2 3; do
  echo "step $i {of} $2" >> out/log.txt
  cp out/log.txt "out/log $i.txt"
done
(cd out/sub && tr a-z A-Z < ../../'names é.txt' > upper.txt)
sh -c 'echo "$GREETING in $UNIT" > out/env.txt'
grep -c nothing "$1" > out/count.txt || true
wc -l "$1" > out/lines.txt
cat > out/card.txt <<END
scale $2
END
T=$(mktemp)
head -n 2 "$1" > "$T"
cat "$T" out/card.txt > out/both.txt
rm "$T"
sed -i 's/scale/SCALE/' out/card.txt
echo done
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    work = tmp_path / "my work"
    (work / "conf").mkdir(parents=True)
    (work / "conf/fit settings.json").write_text('{"weight": 2.5}')
    (work / "fit.py").write_text(FIT)
    (work / "helper.py").write_text("def total(values): return sum(values)\n")
    (work / "names é.txt").write_text("ada\nemmy\n")
    (work / "data.csv").write_text("3\n1\n2\n2\n")
    (work / "run.sh").write_text(SCRIPT)
    (work / "run.sh").chmod(0o755)
    return work


def recast(*words: str, cwd: Path, code: int = 0) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the script's python3 is ours
    done = commanding.recast(*words, cwd=cwd, PATH=path)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def build() -> Iterator[Callable[[Path], None]]:
    """Builds the image of a draft; it is gone after the test."""
    images: list[str] = []

    def build(draft: Path) -> None:
        images.append(_build(draft))

    yield build
    for image in images:
        subprocess.run(["docker", "image", "rm", "--force", image], check=True, capture_output=True)


def _build(draft: Path) -> str:
    image = json.loads((draft / "traced.json").read_text())["image"]
    words = [
        "docker",
        "build",
        "--quiet",
        "--network",
        "none",
        "--build-arg",
        f"BASE={BASE}",
        "--tag",
        image,
        str(draft),
    ]
    done = subprocess.run(
        words, env={**os.environ, "DOCKER_BUILDKIT": "0"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(image)


def outputs(run: Path, document: dict) -> dict[str, bytes]:
    """The results of a run of a draft, by the names that the script gave to them."""
    found = {}
    for result in document["results"]:
        stage, _, relative = result.partition("/")
        found[relative] = (run / stage / "0" / relative).read_bytes()
    return found


def test_the_draft_gives_what_the_script_gave(docker: Docker, build, place: Path, tmp_path: Path) -> None:
    words = (
        "capture",
        "--trace",
        "-o",
        "../draft",
        "--json",
        "--again",
        "data.csv 7",
        "--",
        "./run.sh",
        "data.csv",
        "5",
    )
    document = json.loads(recast(*words, cwd=place))
    assert schemas.problem("trace-1", document) is None
    for path in (place / "out", place / "hidden-output.txt"):  # the other run has written over the results
        store.remove(path)
    subprocess.run(["./run.sh", "data.csv", "5"], cwd=place, check=True, capture_output=True)
    draft = tmp_path / "draft"
    assert json.loads(recast("check", "draft", "--json", cwd=tmp_path))["errors"] == []
    build(draft)
    recast("run", "draft", "--workdir", "run", "--no-cache", "--quiet", cwd=tmp_path)
    written = {
        str(path.relative_to(place)): path.read_bytes()
        for path in [*(place / "out").rglob("*"), place / "hidden-output.txt"]
        if path.is_file()
    }
    found = outputs(tmp_path / "run", document)
    assert found == written
    subprocess.run(["./run.sh", "data.csv", "9"], cwd=place, check=False, capture_output=True)
    assert document["parameters"]["scale"] == 5
    recast("run", "draft", "-p", "scale=9", "--workdir", "other", "--no-cache", "--quiet", cwd=tmp_path)
    assert json.loads(outputs(tmp_path / "other", document)["out/fit.json"])["sum"] == 6 * 9 * 2.5


TOOL = """#!/bin/sh
echo "tool: $(cat "$1")"
"""


def wheel(place: Path) -> None:
    """A distribution as an index would give it."""
    files = {
        "tally/__init__.py": "def total(values):\n    return sum(values)\n",
        "tally-1.5.dist-info/METADATA": "Metadata-Version: 2.1\nName: tally\nVersion: 1.5\n",
        "tally-1.5.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in (*files, "tally-1.5.dist-info/RECORD"))
    with zipfile.ZipFile(place / "tally-1.5-py3-none-any.whl", "w") as archive:
        for name, text in {**files, "tally-1.5.dist-info/RECORD": record}.items():
            archive.writestr(name, text)


def test_distributions_by_name_and_programs_from_elsewhere(docker: Docker, build, tmp_path: Path) -> None:
    """A virtual environment with a distribution, and a program of nobody's: both are in the image."""
    work = tmp_path / "work"
    work.mkdir()
    wheel(tmp_path)
    places = (Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels"))  # Debian moves it
    pip = next(found for place in places for found in place.glob("pip-*.whl"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / ".venv"], check=True)
    install = [work / ".venv/bin/python", pip / "pip", "install", "--no-index", tmp_path / "tally-1.5-py3-none-any.whl"]
    subprocess.run([*install, "--quiet", "--disable-pip-version-check"], check=True)
    with tempfile.TemporaryDirectory(dir="/opt") as elsewhere:
        tool = Path(elsewhere) / "my tool"
        tool.write_text(TOOL)
        tool.chmod(0o755)
        (work / "in.txt").write_text("1\n2\n")
        program = "import tally; print(tally.total(map(int, open('in.txt'))))"
        (work / "run.sh").write_text(f'.venv/bin/python -c "{program}" > sum.txt\n"{tool}" sum.txt > said.txt\n')
        document = json.loads(recast("capture", "--trace", "-o", "../draft", "--json", "--", "sh", "run.sh", cwd=work))
        draft = tmp_path / "draft"
        assert document["distributions"] == [{"name": "tally", "version": "1.5"}]
        assert (draft / "requirements.txt").read_text() == "tally==1.5\n"
        assert (draft / f"context/root{tool}").read_text() == TOOL
    (draft / "wheels").mkdir()
    for found in (pip, tmp_path / "tally-1.5-py3-none-any.whl"):
        shutil.copy(found, draft / "wheels")
    build(draft)
    assert json.loads(recast("check", "draft", "--json", cwd=tmp_path))["errors"] == []
    recast("run", "draft", "--workdir", "run", "--no-cache", "--quiet", cwd=tmp_path)
    assert outputs(tmp_path / "run", document) == {"sum.txt": b"3\n", "said.txt": b"tool: 3\n"}
