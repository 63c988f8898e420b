"""A published patchset: the data as published, the point that is picked, and CLs as pyhf's own validation has it."""

import gzip
import json
import math
from pathlib import Path

import pyhf
import pytest

from recast_dm import batch, signals
from recast_dm.errors import UsageError
from recast_dm.spec import analysis
from recast_dm.statistics import patchset, stage
from recast_dm.statistics.workspace import Model

SPEC = Path(__file__).parents[2] / "specs/atlas-susy-2018-31"
DATA = SPEC / "data"
FILES = {
    "patchset": DATA / "patchset.json.gz",
    "workspace": DATA / "BkgOnly.json",
    "cross_sections": DATA / "cross_sections.csv",
    "channel": "SR_meff",
    "sample": "signal",
}


@pytest.fixture(scope="module")
def published() -> dict:
    return json.loads(gzip.decompress((DATA / "patchset.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def background() -> dict:
    return json.loads((DATA / "BkgOnly.json").read_bytes())


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")  # pyhf's own schema check
def test_the_patchset_is_one_by_pyhf_and_belongs_to_the_workspace(published, background):
    theirs = pyhf.PatchSet(published)
    theirs.verify(background)
    ours = patchset.read(DATA / "patchset.json.gz")
    assert ours.labels == tuple(theirs.labels) == ("m_sbottom", "m_n2", "m_n1")
    assert ours.workspace_sha256 == theirs.digests["sha256"] == patchset.digest(background)
    assert len(ours.patches) == len(theirs.patches) == 217
    for patch in ours.patches:
        assert list(patch.operations) == list(theirs[patch.name].patch)
        assert patch.name == "sbottom_" + "_".join(f"{value:g}" for value in patch.values)
        assert ours.find(patch.values) is patch


def test_every_point_has_a_cross_section_that_falls_with_the_mass():
    masses = sorted({patch.values[0] for patch in patchset.read(DATA / "patchset.json.gz").patches})
    found = [patchset.cross_section(DATA / "cross_sections.csv", mass) for mass in masses]
    assert all(each is not None and 0.05 < each.error_pb / each.pb < 0.2 for each in found)
    assert [each.pb for each in found] == sorted((each.pb for each in found), reverse=True)
    assert patchset.cross_section(DATA / "cross_sections.csv", 1000) == patchset.CrossSection(0.00683, 0.000765)
    assert patchset.cross_section(DATA / "cross_sections.csv", 1001) is None


def test_cls_as_pyhf_validates_it(tmp_path):
    """CLs(mu = 1) at 1300, 205, 60 GeV: the numbers of pyhf's tests/test_validation.py."""
    operations, about = patchset.pick(values=[1300, 205, 60], **FILES)
    for name, content in (("patch", list(operations)), ("signal", about)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    stage.run(
        workspace=DATA / "BkgOnly.json",
        patch=tmp_path / "patch.json",
        signal=tmp_path / "signal.json",
        limit=tmp_path / "limit.json",
    )
    limit = json.loads((tmp_path / "limit.json").read_text())
    assert limit["cls_obs"] == pytest.approx(0.24444, abs=1e-4)
    assert limit["cls_exp"] == pytest.approx([0.09023, 0.19379, 0.38434, 0.65579, 0.89105], abs=1e-4)
    assert limit["sigma_pb"] == 0.000887
    assert limit["likelihood"] == "histfactory"


@pytest.mark.parametrize(
    ("values", "nearest"),
    [
        ([1310, 205, 60], "m_sbottom = 1300, m_n2 = 205, m_n1 = 60"),
        ([1300, 205, 61], "m_sbottom = 1300, m_n2 = 205, m_n1 = 60"),
        ([100, 1, 0], "m_sbottom = 300"),
    ],
)
def test_a_point_between_is_not_covered(values, nearest):
    operations, about = patchset.pick(values=values, **FILES)
    assert operations == ()
    assert set(about) == {"schema", "not_covered"}
    assert f"the nearest is {nearest}" in about["not_covered"]
    assert f"no m_sbottom = {values[0]}" in about["not_covered"]


def test_the_signal_has_one_name_and_is_otherwise_as_published(published, background):
    operations, about = patchset.pick(values=[1300, 850, 60], **FILES)
    [raw] = [each["patch"] for each in published["patches"] if each["metadata"]["name"] == "sbottom_1300_850_60"]
    names = {each["value"].pop("name") for each in json.loads(json.dumps(operations)) if "value" in each}
    assert names == {"signal"}
    assert {each["value"]["name"] for each in raw if "value" in each} == {"sbottom_1300_850_60"}
    assert list(patchset.renamed(operations, "sbottom_1300_850_60")) == raw
    assert about["patch"] == "sbottom_1300_850_60"
    total = sum(raw[0]["value"]["data"])
    [errors] = [each["data"] for each in raw[0]["value"]["modifiers"] if each["type"] == "staterror"]
    assert about["mu_mc_error"] == pytest.approx(math.sqrt(sum(each**2 for each in errors)) / total)
    assert about["uncertainties"][1]["relative"] == pytest.approx(0.000126 / 0.000887)


def test_the_mc_error_is_that_of_the_total_yield():
    sample = {"name": "s", "data": [3.0, 4.0], "modifiers": [{"type": "staterror", "name": "e", "data": [0.3, 0.4]}]}
    background = {"channels": [{"name": "c", "samples": []}]}
    model = Model(background, [{"op": "add", "path": "/channels/0/samples/0", "value": sample}])
    assert patchset.mc_error(model, "c") == pytest.approx(0.5 / 7)
    with pytest.raises(UsageError, match="no signal to the channel 'other'"):
        patchset.mc_error(model, "other")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"values": [1300, 205]}, "2 values, where the patchset has m_sbottom"),
        ({"workspace": "other.json"}, "belongs to another workspace"),
        ({"workspace": "list.json"}, "is not a pyhf workspace"),
        ({"workspace": "none.json"}, "cannot read none.json"),
        ({"patchset": "none.json"}, "cannot read none.json"),
        ({"patchset": "other.json"}, "is not a patchset"),
        ({"patchset": "broken.gz"}, "is not JSON"),
        ({"patchset": "text.json"}, "is not JSON"),
        ({"cross_sections": "empty.csv"}, "has no cross-section for m_sbottom = 1300"),
        ({"cross_sections": "bad.csv"}, "no table of value, pb, error"),
        ({"cross_sections": "none.csv"}, "cannot read none.csv"),
        ({"channel": "SR"}, "no signal to the channel 'SR'"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, background, changes, said):
    changed = {**background, "observations": [{**background["observations"][0], "data": [1, 2, 3]}]}
    (tmp_path / "other.json").write_text(json.dumps(changed))
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "broken.gz").write_bytes((DATA / "patchset.json.gz").read_bytes()[:5000])
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "empty.csv").write_text("m,pb,error\n")
    (tmp_path / "bad.csv").write_text("m,pb,error\n1300,x,1\n")
    named = {key: tmp_path / value if "." in str(value) else value for key, value in changes.items()}
    with pytest.raises(UsageError, match=said):
        patchset.pick(**{"values": [1300, 205, 60], **FILES, **named})


def words(place: Path, *values: str) -> list[str]:
    return [
        "pick",
        *("--patchset", str(FILES["patchset"]), "--workspace", str(FILES["workspace"]), "--values", *values),
        *("--cross-sections", str(FILES["cross_sections"]), "--channel", "SR_meff"),
        *("--patch", str(place / "patch.json"), "--signal", str(place / "signal.json")),
    ]


def test_a_batch_gives_what_each_alone_gives(tmp_path, capsys):
    points = [("1300", "205", "60"), ("1310", "205", "60"), ("1300", "205")]
    jobs = []
    for n, values in enumerate(points):
        for kind in ("together", "alone"):
            (tmp_path / kind / str(n)).mkdir(parents=True)
        place = tmp_path / "together" / str(n)
        argv = tuple(words(place, *values))
        jobs.append(batch.Job(cwd=str(place), argv=argv, log=f"{place}.log", status=f"{place}.status"))
    (tmp_path / "jobs.json").write_text(batch.text(tuple(jobs)))
    batch.run(patchset.main, tmp_path / "jobs.json")
    for n, values in enumerate(points):
        alone = tmp_path / "alone" / str(n)
        status = patchset.main(words(alone, *values))
        assert Path(jobs[n].status).read_text().strip() == str(status)
        for name in ("patch.json", "signal.json"):
            made = [kind / name for kind in (alone, tmp_path / "together" / str(n))]
            assert {path.exists() for path in made} == {status == 0}
            assert status or made[0].read_bytes() == made[1].read_bytes()
    assert "2 values" in capsys.readouterr().err


def test_the_model_feeds_what_the_patchset_is_asked_for():
    loaded = analysis.load(SPEC)
    model = signals.find(loaded.example.model)
    point = model.point(loaded.example.parameters)
    fed = model.feeds(point)["pyhf-patch"]
    known = patchset.read(DATA / "patchset.json.gz")
    assert tuple(fed["labels"]) == known.labels
    assert known.find(fed["values"]) is not None
    assert all(finding.ok for finding in model.validity(point))


@pytest.mark.parametrize(
    ("masses", "ok"),
    [((1300, 205, 60), (True, True)), ((1300, 180, 60), (True, False)), ((1300, 1299, 60), (False, True))],
)
def test_validity_says_whether_the_decays_are_open(masses, ok):
    model = signals.find("sbottom-higgs")
    point = model.point(dict(zip(("m_sbottom", "m_n2", "m_n1"), masses, strict=True)))
    assert tuple(finding.ok for finding in model.validity(point)) == ok
