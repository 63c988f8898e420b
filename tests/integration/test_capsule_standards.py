"""A captured capsule before the judges: BagIt's, the OCI's, RO-Crate's and the citation file's own programs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commanding import program, recast

from recast_dm import schemas
from recast_dm.capsule import open_capsule

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def captured(docker, tmp_path_factory) -> Path:
    """The toy analysis, in a git repository of its own, captured with a run."""
    place = tmp_path_factory.mktemp("standards")
    shutil.copytree(ROOT / "tests/analyses/toy", place / "toy")
    git = ["git", "-C", str(place / "toy"), "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "The toy analysis"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    target = place / "toy.capsule"
    done = recast("capture", place / "toy", "-o", target, "--strict", RECAST_DM_CACHE_DIR=str(place / "cache"))
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def spoiled(captured, tmp_path) -> Path:
    shutil.copytree(captured, tmp_path / "spoiled.capsule")
    return tmp_path / "spoiled.capsule"


class TestBagIt:
    def test_it_validates(self, captured):
        done = subprocess.run([sys.executable, "-m", "bagit", "--validate", captured], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_a_changed_payload_does_not(self, spoiled):
        path = spoiled / "data/analysis/data/toy.py"
        path.chmod(0o644)
        path.write_text(path.read_text() + "\n")
        done = subprocess.run([sys.executable, "-m", "bagit", "--validate", spoiled], capture_output=True, check=False)
        assert done.returncode != 0

    def test_sha512sum_checks_it(self, captured):
        for manifest in ("manifest-sha512.txt", "tagmanifest-sha512.txt"):
            subprocess.run(["sha512sum", "--check", "--strict", "--quiet", manifest], cwd=captured, check=True)


class TestOci:
    def test_skopeo_reads_it(self, captured):
        words = [program("skopeo"), "inspect", "--raw", f"oci:{captured}/data/images:recast-dm/toy:1.0"]
        manifest = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
        image = open_capsule(captured).manifest["images"][0]
        assert manifest["config"]["digest"] == image["image_id"]
        assert [layer["digest"] for layer in manifest["layers"]] == [layer["digest"] for layer in image["layers"]]

    def test_umoci_unpacks_it(self, captured, tmp_path):
        words = [program("umoci"), "unpack", "--rootless", "--image", f"{captured}/data/images:recast-dm/toy:1.0"]
        subprocess.run([*words, str(tmp_path / "bundle")], capture_output=True, check=True)
        assert (tmp_path / "bundle/rootfs/usr/bin/python3").exists()

    def test_skopeo_refuses_a_changed_layer(self, spoiled, tmp_path):
        layer = open_capsule(spoiled).manifest["images"][0]["layers"][0]["digest"].removeprefix("sha256:")
        path = spoiled / "data/images/blobs/sha256" / layer
        path.chmod(0o644)
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.write_bytes(data)
        words = [program("skopeo"), "copy", f"oci:{spoiled}/data/images:recast-dm/toy:1.0", f"dir:{tmp_path}/out"]
        assert subprocess.run(words, capture_output=True, check=False).returncode != 0


class TestCrate:
    def test_it_is_a_provenance_run_crate(self, captured, validators):
        assert validators.crate(captured / "data") == []

    def test_a_broken_one_is_not(self, spoiled, validators):
        path = spoiled / "data/ro-crate-metadata.json"
        path.chmod(0o644)
        document = json.loads(path.read_bytes())
        for entity in document["@graph"]:
            entity.pop("instrument", None)
        path.write_text(json.dumps(document))
        assert validators.crate(spoiled / "data")

    def test_the_citation_file_validates(self, captured, validators):
        assert validators.citation(captured / "data/CITATION.cff") == ""


class TestSource:
    def test_the_bundle_can_be_cloned(self, captured, tmp_path):
        manifest = open_capsule(captured).manifest
        source = manifest["source"]
        subprocess.run(["git", "clone", "-q", captured / source["bundle"], tmp_path / "clone"], check=True)
        git = ["git", "-C", str(tmp_path / "clone"), "rev-parse"]
        said = subprocess.run([*git, "HEAD", "HEAD^{tree}"], capture_output=True, text=True, check=True).stdout.split()
        assert [source["swhid"], source["directory_swhid"]] == [f"swh:1:rev:{said[0]}", f"swh:1:dir:{said[1]}"]
        assert source["dirty"] == []
        assert (tmp_path / "clone/recast.yml").read_bytes() == (captured / "data/analysis/recast.yml").read_bytes()


class TestByHand:
    """RERUN.txt: tar, a shell and util-linux; none of our programs, no engine, no network."""

    def test_its_commands_give_the_captured_outputs(self, captured, tmp_path):
        work = by_hand(captured, tmp_path)
        expected = captured / "data/reference/limit/0/limit.json"
        assert (work / "run/limit/0/limit.json").read_bytes() == expected.read_bytes()

    def test_parameters_that_a_step_reads_from_a_file_are_there(self, docker, tmp_path):
        analysis = tmp_path / "mounted"
        analysis.mkdir()
        (analysis / "recast.yml").write_text(
            "name: mounted\nspec: {workflow: workflow.yml}\n"
            'example_inputs: {default: {initdata: {masses: [10, 2.5], words: "it\'s\\ntwo lines"}}}\n'
        )
        (analysis / "workflow.yml").write_text(MOUNTED)
        done = recast("capture", analysis, "-o", tmp_path / "x.capsule", RECAST_DM_CACHE_DIR=str(tmp_path / "cache"))
        assert done.returncode == 0, done.stderr
        work = by_hand(tmp_path / "x.capsule", tmp_path)
        for number, mass in enumerate([10, 2.5]):
            found = (work / f"run/say/{number}/said.json").read_bytes()
            assert found == (tmp_path / f"x.capsule/data/reference/say/{number}/said.json").read_bytes()
            assert json.loads(found) == {"mass": mass, "words": "it's\ntwo lines"}


MOUNTED = """\
stages:
- name: say
  dependencies: [init]
  scheduler:
    scheduler_type: multistep-stage
    parameters:
      mass: {step: init, output: masses}
      words: {step: init, output: words}
      said: '{workdir}/said.json'
    scatter: {method: zip, parameters: [mass]}
    step:
      process: {process_type: string-interpolated-cmd, cmd: 'cat /settings/here/point.json > {said}'}
      environment:
        environment_type: docker-encapsulated
        image: recast-dm/toy
        imagetag: '1.0'
        par_mounts: [{mountpath: /settings/here/point.json, jqscript: '{mass, words}'}]
      publisher: {publisher_type: interpolated-pub, publish: {said: '{workdir}/said.json'}}
"""


def by_hand(capsule: Path, place: Path) -> Path:
    """Runs RERUN.txt as it stands. Gives where it worked."""
    said = (capsule / "RERUN.txt").read_text().split("\n")
    script = place / "rerun.sh"
    script.write_text("\n".join(line.removeprefix("    ") for line in said if line.startswith("    ")))
    done = subprocess.run(
        [*(["unshare"] if os.getuid() == 0 else ["unshare", "--map-root-user"]), "--net", "sh", script],
        cwd=capsule,
        env={"PATH": os.environ["PATH"], "RERUN_WORK": str(place / "work")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return place / "work"


class TestVerify:
    def test_every_depth(self, captured, tmp_path):
        for words in (["--bytes"], [], ["--rerun", "--workdir", str(tmp_path / "run")]):
            done = recast("verify", captured, *words, "--json", "--quiet")
            assert done.returncode == 0, done.stdout
            document = json.loads(done.stdout)
            assert schemas.problem("verify-1", document) is None
            assert document["ok"]
        assert [each["agrees"] for each in document["outputs"]] == [True]

    def test_a_digest_from_elsewhere(self, captured):
        digest = open_capsule(captured).digest
        assert recast("verify", captured, "--bytes", "--digest", f"sha256:{digest}").returncode == 0
        other = recast("verify", captured, "--bytes", "--digest", f"sha256:{'0' * 64}")
        assert other.returncode == 5
        assert "this is another capsule" in other.stdout

    def test_outputs_that_are_not_reproduced(self, captured, tmp_path):
        """A capsule whose reference outputs are others, rewritten consistently: only a rerun finds that."""
        from preserving import rewritten

        spoiled = rewritten(captured, tmp_path / "other.capsule", "data/reference/limit/0/limit.json", b"{}\n")
        assert recast("verify", spoiled, "--quiet").returncode == 0
        done = recast("verify", spoiled, "--rerun", "--quiet", "--workdir", tmp_path / "run")
        assert done.returncode == 5
        assert "limit/limit.json" in done.stdout
        assert "NO" in done.stdout
