"""Events from outside in the real images: files that Pythia wrote (tests/data/events/make.py) go through the search."""

import gzip
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recast_dm import schemas
from recast_dm.runtimes.docker import Docker

sys.path.insert(0, str(Path(__file__).parents[2] / "specs/atlas-exot-2018-06/code"))

from monojet import histogram as merging  # the path comes first
from monojet import patch, workspace

ROOT = Path(__file__).parents[2]
ANALYSIS = ROOT / "specs/atlas-exot-2018-06"
DATA = ROOT / "tests/data/events"
IMAGE = "recast-dm/atlas-exot-2018-06:1.0"


class Desk:
    """Runs `recast-dm` with one cache, and `make.py` and stages in the image."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._count = 0

    def call(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "RECAST_DM_CACHE_DIR": str(self.place / "cache")}
        command = [sys.executable, "-m", "recast_dm", *(str(word) for word in words)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def rerun(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        self._count += 1
        return self.call("rerun", ANALYSIS, *words, "--workdir", self.place / f"run{self._count}", "--json")

    def limit(self, *words: str | Path) -> dict[str, Any]:
        done = self.rerun(*words)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        assert schemas.problem("limit-1", document) is None
        return document

    def events(self, *files: Path, **parameters: float) -> dict[str, Any]:
        """The limit document of event files in which a neutrino of a fourth generation is the dark matter."""
        words: list[str | Path] = ["--model", "events", "--set", "dm_id=18"]
        words += [word for name, value in parameters.items() for word in ("--set", f"{name}={value}")]
        return self.limit(*words, *(word for file in files for word in ("--events", file)))

    def made(self, kind: str, name: str, events: int, seed: int) -> Path:
        """A larger file, written by Pythia in the image."""
        command = ["docker", "run", "--rm", "--network", "none", "--user", f"{os.getuid()}:{os.getgid()}"]
        command += ["-v", f"{DATA}:/made:ro", "-v", f"{self.place}:/out", IMAGE]
        subprocess.run([*command, "python3", "/made/make.py", kind, f"/out/{name}", str(events), str(seed)], check=True)
        return self.place / name


@pytest.fixture(scope="module")
def desk(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("events"))


def histogram(limit: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(limit["run_dir"]) / "histogram/histogram.json").read_text())
    return found


def read(name: str) -> str:
    data = (DATA / name).read_bytes()
    return (gzip.decompress(data) if name.endswith(".gz") else data).decode()


def split(text: str, mark: str, end: str) -> tuple[str, list[str]]:
    """What stands before the events, and each event."""
    head, *events = text.removesuffix(end).split(mark)
    return head, [mark + event for event in events]


SPLITS = {
    "z1jet.lhe": ("<event>\n", "</LesHouchesEvents>\n"),
    "zjets.lhe.gz": ("<event>\n", "</LesHouchesEvents>\n"),
    "weights.lhe.gz": ("<event>\n", "</LesHouchesEvents>\n"),
    "axial.hepmc.gz": ("E ", "HepMC::Asciiv3-END_EVENT_LISTING\n"),
}


STAGES = """
import sys
from pathlib import Path
from monojet.__main__ import main
out, *files = sys.argv[1:]
for k in (1, 2):
    names = {name: f"{out}/{name}{k}" for name in ("particles", "generation", "selection")}
    words = ["--recoil-id", "0", "--expected-width-gev", "0", "--invisible-ids", "18", "--seed", f"{k}/2"]
    words += ["--events", "0", "--events-files", *files]
    made = ["--particles", names["particles"], "--generation", names["generation"]]
    assert main(["generate", *words, *made]) == 0
    assert main(["select", *made, "--selection", names["selection"]]) == 0
"""


def selections(place: Path, out: str, *files: str) -> list[dict[str, Any]]:
    """What the selection says of both shares of files below `place`, in the image, the names of the files left out."""
    (place / out).mkdir()
    command = ["docker", "run", "--rm", "--network", "none", "--user", f"{os.getuid()}:{os.getgid()}"]
    command += ["-v", f"{place}:/place", "-w", "/place", IMAGE, "python3", "-c", STAGES, out, *files]
    subprocess.run(command, check=True, capture_output=True)
    found = [json.loads((place / out / f"selection{k}").read_text()) for k in (1, 2)]
    for each in found:
        each["generation"]["events"].pop("files")
    return found


@pytest.mark.parametrize("name", SPLITS)
def test_permuted_split_and_packed_files_give_the_same_histogram(desk: Desk, tmp_path: Path, name: str) -> None:
    """Each event keeps its share, its shower, its veto and its detector, whatever stands before it."""
    mark, end = SPLITS[name]
    head, events = split(read(name), mark, end)
    shuffled = random.Random(2).sample(events, len(events))
    half = len(events) // 2
    for stem, part in (("whole", events), ("permuted", shuffled), ("first", shuffled[:half])):
        (tmp_path / f"{stem}.txt").write_text(head + "".join(part) + end)
    (tmp_path / "second.txt.gz").write_bytes(gzip.compress((head + "".join(shuffled[half:]) + end).encode()))
    tmp_path.chmod(0o755)
    whole = selections(tmp_path, "as-it-is", "whole.txt")
    assert sum(sum(each["generation"]["kept"]) for each in whole) > len(events) / 2
    assert all(isinstance(n, int) for each in whole for row in each["counts"] for n in row)
    assert selections(tmp_path, "in-another-order", "permuted.txt") == whole
    assert selections(tmp_path, "in-two-files", "first.txt", "second.txt.gz") == whole


def test_the_weights_of_a_file_enter_the_likelihood(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "weights.lhe.gz").write_bytes((DATA / "weights.lhe.gz").read_bytes())
    tmp_path.chmod(0o755)
    found = merging.merge(selections(tmp_path, "stages", "weights.lhe.gz"), 139.0)
    background = workspace.background_only(workspace.read_yields(ANALYSIS / "data/yields.yaml"), "independent")
    signal = patch.signal_patch(found, background)[0]["value"]
    modifiers = {each["name"]: each["data"] for each in signal["modifiers"]}
    up = found["relative_errors"]["scale"][0]
    assert max(up) > 0
    expected = [y * (1 + shift) for y, shift in zip(signal["data"], up, strict=True)]
    assert modifiers["signal_scale"]["hi_data"] == pytest.approx(expected)
    assert modifiers["signal_pdf"]["hi_data"] != pytest.approx([1.1 * y for y in signal["data"]])
    assert found["sigma_relative_errors"]["scale"][0] == pytest.approx(0.1, rel=0.5)


def test_matching_takes_away_what_the_shower_makes_twice(desk: Desk) -> None:
    """After MLM, and after CKKW-L, the cross-section of Z with 0 and 1 jet is nearly that of Z alone.

    Unmatched, the same events are refused.
    """
    mlm = selected_share(desk, desk.made("zjets", "mlm.lhe", 1000, 41))
    ckkwl = selected_share(desk, desk.made("zjets-kt", "ckkwl.lhe", 1000, 41))
    alone = 8590 / (8590 + 1404)  # of 20000 events each, in pb: 0 jets; with 1 jet above 30 GeV
    assert mlm == pytest.approx(alone, rel=0.05)
    assert ckkwl == pytest.approx(alone, rel=0.05)
    text = (desk.place / "mlm.lhe").read_text().replace("1 = ickkw", "0 = ickkw")
    (desk.place / "unmatched.lhe").write_text(text)
    done = desk.rerun("--model", "events", "--events", desk.place / "unmatched.lhe")
    assert done.returncode == 1
    assert "would count jets twice" in done.stdout + done.stderr + logs(desk)


def selected_share(desk: Desk, path: Path) -> float:
    """Which share of the cross-section the matching keeps."""
    found = selections(desk.place, f"stages-{path.stem}", path.name)
    total = found[0]["generation"]["events"]["sum_of_weights"]
    return float(sum(each["sums"]["all"] for each in found)) / total


def logs(desk: Desk) -> str:
    return "\n".join(path.read_text(errors="replace") for path in desk.place.rglob("*.log"))


def test_pythias_events_give_the_same_limit_from_a_file(desk: Desk) -> None:
    """A1 at 2 TeV, generated directly, and written to a HepMC file (sliced and weighted) that is read again."""
    direct = desk.limit(
        "--model", "spin1-axial", "--set", "m_med=2000", "--set", "m_dm=1", "-p", "events=600", "-p", "seeds=[101, 102]"
    )
    fed = desk.events(desk.made("slices", "slices.hepmc", 1200, 103), sigma_pb=0.0)
    error = (direct["mu_upper_obs_mc_error"] ** 2 + fed["mu_upper_obs_mc_error"] ** 2) ** 0.5
    assert error < 0.1
    assert fed["mu_upper_obs"] == pytest.approx(direct["mu_upper_obs"], rel=2.5 * error)
    assert fed["mu_upper_exp"][2] == pytest.approx(direct["mu_upper_exp"][2], rel=2.5 * error)
    assert chi2_a_bin(histogram(direct), histogram(fed)) < 2.5


def test_pythia_showers_a_les_houches_file_as_its_own_events(desk: Desk) -> None:
    """A1 at 2 TeV, hard process from a file: the yields agree bin by bin with those of Pythia's own events."""
    direct = desk.limit(
        "--model", "spin1-axial", "--set", "m_med=2000", "--set", "m_dm=1", "-p", "events=600", "-p", "seeds=[101, 102]"
    )
    fed = desk.events(desk.made("axial", "axial.lhe", 2500, 104))
    assert fed["sigma_pb"] == pytest.approx(0.3526, rel=0.05)
    error = (direct["mu_upper_obs_mc_error"] ** 2 + fed["mu_upper_obs_mc_error"] ** 2) ** 0.5
    assert abs(fed["mu_upper_exp"][2] / direct["mu_upper_exp"][2] - 1) < 2.5 * error
    assert chi2_a_bin(histogram(direct), histogram(fed)) < 2.5


def chi2_a_bin(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Over the bins in which both have events."""
    pulls = [
        (x - y) ** 2 / (dx**2 + dy**2)
        for x, y, dx, dy in zip(a["yields"], b["yields"], a["yields_mc_error"], b["yields_mc_error"], strict=True)
        if x > 0 and y > 0
    ]
    assert len(pulls) >= 8
    return sum(pulls) / len(pulls)


@pytest.mark.parametrize(
    ("edit", "words", "said"),
    [
        (lambda t: t[: len(t) // 2], (), "the file is truncated"),
        (lambda t: t.replace("6.5e+03 6.5e+03", "4e+03 4e+03"), (), "the beams are 2212 of 4000"),
        (lambda t: t.replace("   12 ", "   53 ").replace("  -12 ", "  -53 "), (), "neither of the Standard Model nor"),
        (lambda t: t, ("--set", "merging_scale=30"), "names no matching scheme"),
    ],
    ids=["truncated", "beams", "undeclared", "scale without scheme"],
)
def test_a_file_that_cannot_be_is_one_clear_error(
    desk: Desk, tmp_path: Path, edit: Any, words: Sequence[str], said: str
) -> None:
    path = tmp_path / "z.lhe"
    path.write_text(edit(read("z1jet.lhe")))
    done = desk.rerun("--model", "events", "--events", path, *words)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["kind"] == "step-failed"
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
