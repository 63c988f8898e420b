"""A script traced, drafted, built and run again: the draft's outputs are the script's, byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

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
    done = subprocess.run(
        [sys.executable, "-m", "recast_dm", *words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def build(draft: Path) -> None:
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


def outputs(run: Path, document: dict) -> dict[str, bytes]:
    """The results of a run of a draft, by the names that the script gave to them."""
    found = {}
    for result in document["results"]:
        stage, _, relative = result.partition("/")
        found[relative] = (run / stage / "0" / relative).read_bytes()
    return found


def test_the_draft_gives_what_the_script_gave(docker: Docker, place: Path, tmp_path: Path) -> None:
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
