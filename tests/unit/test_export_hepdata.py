"""`recast-dm export --format hepdata`: what HEPData takes, and what it must never be told."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import warnings
from pathlib import Path
from typing import Any

import pytest
import yaml
from workbench import TOY_IMAGE, toy

import recast_dm
from recast_dm import schemas, store
from recast_dm.errors import IntegrityError, UsageError
from recast_dm.export import Exporter, find, packing
from recast_dm.export.hepdata import HepData, abstract, library, likelihood, of_scan, submission, tables
from recast_dm.export.hepdata.values import MISSING, Column, Error, Table
from recast_dm.export.scans import Picture, Scan, of_limit, read
from recast_dm.runtimes.fake import FakeRuntime
from tests import scans

LIKELIHOOD = "likelihood.tar.gz"
BAND = (-2, -1, 0, 1, 2)


@pytest.fixture(scope="session")
def valid():
    """Whether `hepdata-validator` accepts a submission, by its own command's code and schemas; what it says if not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from hepdata_validator.full_submission_validator import FullSubmissionValidator

    def problems(place: Path) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            validator = FullSubmissionValidator()
            where = {"directory": str(place)} if place.is_dir() else {"archive": str(place)}
            validator.validate(**where)
            return [each.message for found in validator.get_messages().values() for each in found]

    return problems


@pytest.fixture
def scan(tmp_path) -> Path:
    """A run directory that holds the document of a scan, and nothing else."""
    place = tmp_path / "scan"
    write(place, scans.document())
    return place


def write(place: Path, document: dict[str, Any]) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    assert schemas.problem("scan-1", document) is None
    (place / "scan.json").write_text(json.dumps(document))
    return place


def loaded(document: dict[str, Any]) -> Scan:
    return Scan(document=document, place=Path("scan.json"))


def table(document: dict[str, Any], name: str) -> Table:
    return {each.name: each for each in tables.of_scan(loaded(document))}[name]


def columns(made: Table) -> dict[str, Column]:
    return {column.name: column for column in (*made.independent, *made.dependent)}


def written(place: Path) -> dict[str, Any]:
    """The tables of a submission by their names, each with its entry in submission.yaml."""
    header, *entries = yaml.safe_load_all((place / "submission.yaml").read_text())
    found = {entry["name"]: {**entry, **yaml.safe_load((place / entry["data_file"]).read_text())} for entry in entries}
    return {"": header, **found}


class TestASubmission:
    def test_it_is_valid_as_a_directory_and_as_one_file(self, scan, tmp_path, valid):
        assert isinstance(find("hepdata"), Exporter)
        for name in ("out", "out.tar.gz", "out.zip"):
            done = HepData().export(scan, tmp_path / name)
            assert done.output == tmp_path / name
            assert valid(tmp_path / name) == []
        assert done.files == len(list((tmp_path / "out").iterdir()))
        (tmp_path / "out/stray.txt").write_text("nobody names it")
        assert valid(tmp_path / "out"), "a submission with a stray file does not pass"

    def test_the_same_scan_gives_the_same_bytes(self, scan, tmp_path):
        for name in ("a.tar.gz", "b.tar.gz"):
            HepData().export(scan, tmp_path / name)
        assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()

    def test_the_document_goes_along_and_gives_the_same_again(self, scan, tmp_path):
        HepData().export(scan, tmp_path / "out")
        HepData().export(tmp_path / "out/scan.json", tmp_path / "again")
        assert written(tmp_path / "out") == written(tmp_path / "again")

    def test_the_error_of_a_cross_section_is_in_pb(self, scan, tmp_path):
        HepData().export(scan, tmp_path / "out")
        (variable,) = written(tmp_path / "out")["Cross sections of the model"]["dependent_variables"]
        assert variable["values"][0]["errors"] == [{"label": "MC statistics", "symerror": 0.005}]

    def test_the_numbers_of_a_point(self, scan, tmp_path):
        HepData().export(scan, tmp_path / "out")
        found = written(tmp_path / "out")[tables.LIMITS]
        where = [[entry["value"] for entry in variable["values"]] for variable in found["independent_variables"]]
        row = list(zip(*where, strict=True)).index((1000.0, 1.0))
        point = next(
            point
            for point in scans.document()["points"]
            if (point["parameters"]["m_med"], point["parameters"]["m_dm"]) == (1000.0, 1.0)
        )
        observed, expected = (variable["values"][row] for variable in found["dependent_variables"])
        assert observed["value"] == pytest.approx(point["mu_upper_obs"], rel=1e-5)
        assert observed["errors"] == [
            {"label": "MC statistics", "symerror": pytest.approx(point["mu_upper_obs"] * 0.01, rel=1e-5)}
        ]
        band = point["mu_upper_exp"]
        assert expected["value"] == pytest.approx(band[2], rel=1e-5)
        for sigmas, error in zip((1, 2), expected["errors"], strict=True):
            assert error["label"] == f"{sigmas} sigma"
            assert error["asymerror"]["minus"] == pytest.approx(band[2 - sigmas] - band[2], rel=1e-5)
            assert error["asymerror"]["plus"] == pytest.approx(band[2 + sigmas] - band[2], rel=1e-5)
        said = {each["name"]: each["value"] for each in found["dependent_variables"][0]["qualifiers"]}
        assert {"g_q", "g_dm", "g_l"} <= said.keys()
        assert (said["SQRT(S)"], said["LUMINOSITY"], said["Model"]) == (13000.0, 137.0, "spin1-axial")
        assert [each["header"]["units"] for each in found["independent_variables"]] == ["GeV", "GeV"]
        assert {"name": "cmenergies", "values": [13000.0]} in found["keywords"]

    def test_nothing_is_written_of_an_invalid_one(self, scan, tmp_path, monkeypatch):
        monkeypatch.setattr(abstract, "text", lambda scan: 17)  # HEPData wants words
        with pytest.raises(IntegrityError, match="hepdata-validator refuses") as refused:
            HepData().export(scan, tmp_path / "out")
        assert "17" in str(refused.value.hint)
        assert not (tmp_path / "out").exists()

    def test_nothing_is_written_over(self, scan, tmp_path):
        (tmp_path / "out.tar.gz").write_text("mine")
        with pytest.raises(UsageError, match="exists"):
            HepData().export(scan, tmp_path / "out.tar.gz")
        assert (tmp_path / "out.tar.gz").read_text() == "mine"

    def test_figures_stand_beside_the_tables_that_they_show(self, scan, tmp_path, valid):
        from matplotlib import image
        from matplotlib.figure import Figure

        drawn = io.BytesIO()
        Figure(figsize=(6, 4)).savefig(drawn, dpi=100)
        picture = Picture(name="plane", caption="the plane", png=drawn.getvalue())
        with_picture = Scan(document=scans.document(), place=scan, pictures=(picture,))
        HepData().export(with_picture, tmp_path / "out")
        assert valid(tmp_path / "out") == []
        found = written(tmp_path / "out")[tables.LIMITS]["additional_resources"]
        assert [each["location"] for each in found] == ["plane.png", "thumb_plane.png"]
        assert (tmp_path / "out/plane.png").read_bytes() == picture.png
        assert image.imread(tmp_path / "out/thumb_plane.png").shape[1] == submission.THUMBNAIL_WIDTH

    def test_the_library_leaves_the_process_as_it_was(self):
        loader = getattr(yaml, "CLoader", yaml.Loader)
        before = list(warnings.filters)
        library.hepdata_lib()
        assert warnings.filters == before
        assert yaml.load("{a: 1}", Loader=loader) == {"a": 1}  # the loader is what is tested


class TestTables:
    def test_what_has_no_limit_is_listed_and_never_zero(self):
        document = scans.document()
        missing = [point for point in document["points"] if point["status"] != "done"]
        assert missing
        listed = columns(table(document, "Points of the scan"))
        assert len(listed["Status"].values) == len(document["points"])
        rows = [n for n, status in enumerate(listed["Status"].values) if status == "not covered"]
        assert len(rows) == len(missing)
        assert {listed["Excluded"].values[n] for n in rows} == {MISSING}
        assert all("outside of the map" in str(listed["Reason"].values[n]) for n in rows)
        for name in (tables.LIMITS, tables.CROSS_SECTIONS, "CLs of the signal", "Cross sections of the model"):
            held = columns(table(document, name))
            assert max(held["m_med"].values) <= scans.MAP_ENDS
            assert all(0 not in column.values for column in table(document, name).dependent)

    def test_a_scan_without_any_limit_is_its_points(self):
        document = scans.document(m_med=(2700.0, 3000.0))
        document["closure"] = []
        assert [each.name for each in tables.of_scan(loaded(document))] == ["Points of the scan"]

    def test_validity_is_a_column_for_each_criterion(self):
        document = scans.document()
        listed = columns(table(document, "Points of the scan"))
        for n, point in enumerate(document["points"]):
            for finding in point["validity"]:
                said = listed[f"Validity: {finding['name']}"].values[n]
                assert said == ("inside" if finding["ok"] else "OUTSIDE")

    def test_closure_names_what_was_not_computed(self):
        held = columns(table(scans.document(), "Closure"))
        assert held["This reinterpretation"].values == [0.166, MISSING]
        assert held["Published"].values == [0.110, 1.88]
        assert held["Agreement"].values == ["DISAGREES", "not computed"]

    def test_contours_are_lines_in_their_order(self):
        document = scans.document()
        one, two = [[500.0, 1.0], [700.0, 90.0]], [[900.0, 1.0], [800.0, 9.0], [700.0, 1.0]]
        document["contour"] = {
            "axes": ["m_med", "m_dm"],
            "observed": {"central": [one, two], "low": [one], "high": []},
            "expected": {"central": [two]},
            "method": "a test",
        }
        made = {each.name: columns(each) for each in tables.of_scan(loaded(document)) if "contour" in each.name}
        assert list(made) == [
            "Observed exclusion contour",
            "Observed exclusion contour low",
            "Expected exclusion contour",
        ]
        central = made["Observed exclusion contour"]
        assert central["m_med"].values == [500.0, 700.0, 900.0, 800.0, 700.0]
        assert central["m_dm"].values == [1.0, 90.0, 1.0, 9.0, 1.0]
        assert central["Line"].values == [1, 1, 2, 2, 2]

    def test_a_k_factor_has_a_table_of_its_own(self):
        document = scans.document()
        plain = columns(table(document, tables.LIMITS))
        for point in document["points"]:
            if point["status"] == "done":
                point["k_factor"] = {
                    "name": "drell-yan",
                    "source": "a test",
                    "value": 1.25,
                    "mu_upper_obs": point["mu_upper_obs"] / 1.25,
                    "mu_upper_exp": [mu / 1.25 for mu in point["mu_upper_exp"]],
                    "excluded": True,
                    "excluded_expected": True,
                }
        assert columns(table(document, tables.LIMITS)) == plain, "limits at leading order stay what they are"
        corrected = columns(table(document, "Upper limits on the signal strength with K-factor"))
        assert set(corrected["K"].values) == {1.25}
        assert corrected["Observed upper limit on mu"].values[0] == plain["Observed upper limit on mu"].values[0] / 1.25
        assert "drell-yan" in abstract.text(loaded(document))
        assert "No K-factor was applied" in abstract.text(loaded(scans.document()))

    def test_an_analysis_without_a_cross_section_has_no_table_of_it(self):
        document = scans.document()
        for point in document["points"]:
            if point["status"] == "done":
                point.update(sigma_pb=None, sigma_pb_mc_error=None, sigma_upper_obs_pb=None, sigma_upper_exp_pb=None)
        names = {each.name for each in tables.of_scan(loaded(document))}
        assert tables.LIMITS in names
        assert not names & {tables.CROSS_SECTIONS, "Cross sections of the model"}

    def test_rescaled_limits_have_no_cls(self, tmp_path, valid):
        document = scans.document()
        for point in document["points"]:
            if point["status"] == "done":
                point.update(cls_obs=None, cls_exp=None)
        names = {each.name for each in tables.of_scan(loaded(document))}
        assert tables.LIMITS in names
        assert "CLs of the signal" not in names
        submission.write(of_scan(loaded(document)), tmp_path)
        assert valid(tmp_path) == []

    def test_a_model_that_is_not_installed_has_no_units(self):
        document = {**scans.document(), "model": "somebody-elses"}
        assert {column.units for column in table(document, tables.LIMITS).independent} == {""}
        assert of_scan(loaded(document)).abstract

    def test_columns_of_different_lengths_are_a_defect(self):
        with pytest.raises(AssertionError, match="values"):
            Table(
                name="t",
                description="",
                independent=(Column(name="x", values=[1.0]),),
                dependent=(Column(name="y", values=[]),),
            )

    def test_an_error_that_is_zero_somewhere_is_kept_elsewhere(self, tmp_path):
        column = Column(name="y", values=[1.0, 2.0], errors=(Error(label="stat", values=[0.0, 0.5]),))
        made = Table(name="t", description="d", independent=(Column(name="x", values=[1.0, 2.0]),), dependent=(column,))
        submission.write(submission.Submission(abstract="a", tables=(made,), keywords={}), tmp_path)
        values = yaml.safe_load((tmp_path / "t.yaml").read_text())["dependent_variables"][0]["values"]
        assert values == [{"value": 1.0}, {"value": 2.0, "errors": [{"label": "stat", "symerror": 0.5}]}]


class TestTheAbstract:
    def test_provenance(self):
        document = scans.document()
        said = abstract.text(loaded(document))
        for word in (
            document["title"],
            "arXiv:2107.13021",
            f"sha256:{document['capsule']}",
            document["images"][0]["image_id"],
            "not results of the collaboration",
            "36 points",
            "pyhf",
            "arXiv:1703.05703",
        ):
            assert word in said
        assert "  " not in said

    def test_the_command_is_one_that_the_grid_reads_back(self):
        from recast_dm.reinterpret import grid

        words = abstract.command(loaded(scans.document())).split()
        axes = [words[n + 1] for n, word in enumerate(words) if word == "--grid"]
        settings = dict(words[n + 1].split("=") for n, word in enumerate(words) if word == "--set")
        again = grid.of_axes("spin1-axial", axes, settings)
        assert again.axes == {"m_med": scans.M_MED, "m_dm": scans.M_DM}
        assert again.fixed == {"g_q": 0.25, "g_dm": 1.0, "g_l": 0.0}

    def test_the_command_names_points_that_form_no_grid_the_budget_and_the_k_factor(self):
        document = scans.document()
        assert not {"--points", "--budget", "--k-factor"} & set(abstract.command(loaded(document)).split())
        corrected = [
            {**point, "k_factor": {"name": "drell-yan"}} if point["status"] == "done" else point
            for point in document["points"]
        ]
        said = abstract.command(loaded({**document, "points": corrected[:-1]})).split()
        assert said[said.index("--points") + 1] == "points.csv"
        assert said[said.index("--k-factor") + 1] == "drell-yan"
        assert "--grid" not in said
        adaptive = {**document, "points": document["points"][:-1], "contour": {"evaluations": 35, "budget": 40}}
        said = abstract.command(Scan(document=adaptive, place=Path("scan.json"))).split()
        assert said[1] == "contour"
        assert said[said.index("--budget") + 1] == "40"
        assert "--points" not in said

    def test_records_that_are_related(self):
        document = scans.document()
        document["references"] = {"doi": "10.17182/hepdata.89408.v3", "hepdata": "ins1847779", "twiki": "X"}
        made = of_scan(loaded(document))
        assert made.records == (89408,)
        links = {each.location for each in made.resources}
        assert {"https://www.hepdata.net/record/ins1847779", "https://doi.org/10.17182/hepdata.89408.v3"} <= links


WORKSPACE = {
    "channels": [
        {
            "name": "monojet",
            "samples": [{"name": "background", "data": [50.0, 20.0], "modifiers": []}],
        }
    ],
    "observations": [{"name": "monojet", "data": [52.0, 19.0]}],
    "measurements": [{"name": "limit", "config": {"poi": "mu", "parameters": []}}],
    "version": "1.0.0",
}


def signal(events: list[float]) -> list[dict[str, Any]]:
    modifiers = [{"name": "mu", "type": "normfactor", "data": None}]
    sample = {"name": "signal", "data": events, "modifiers": modifiers}
    return [{"op": "add", "path": "/channels/0/samples/-", "value": sample}]


@pytest.fixture
def run(tmp_path) -> Path:
    """The run directory of a scan of which two points of four have a limit, as its stages leave it."""
    document = scans.document(m_med=(500.0, 3000.0), m_dm=(1.0, 100.0))
    document["references"] = {"hepdata": "ins1847779"}
    place = write(tmp_path / "run", document)
    (place / ".records").mkdir()
    done = [point for point in document["points"] if point["status"] == "done"]
    assert len(done) == 2
    for n, point in enumerate(reversed(done)):  # the order of the steps is not that of the grid
        leave(place / "point" / str(n), point, [3.0 + n, 1.0])
    (place / "point/7/signal/0").mkdir(parents=True)  # a step that failed
    return place


def leave(place: Path, point: dict[str, Any], events: list[float]) -> None:
    keys = ("sigma_pb", "cls_obs", "cls_exp", "mu_upper_obs", "mu_upper_exp")
    limit = {"schema": "recast-dm/limit-stage/1", **{key: point[key] for key in keys}}
    for name, document in (
        ("workspace/0/workspace.json", WORKSPACE),
        ("signal/0/patch.json", signal(events)),
        ("limit/0/limit.json", limit),
        ("signal/0/notes.json", {"schema": "recast-dm/signal/1", "sigma_pb": 1.0}),
    ):
        (place / name).parent.mkdir(parents=True) if not (place / name).parent.is_dir() else None
        (place / name).write_text(json.dumps(document))


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {name: opened.extractfile(name).read() for name in opened.getnames()}


class TestTheLikelihood:
    @pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # pyhf's
    def test_pyhf_takes_the_patchset(self, run, tmp_path, valid):
        import pyhf

        HepData().export(run, tmp_path / "out")
        assert valid(tmp_path / "out") == []
        resource = next(
            each for each in written(tmp_path / "out")[""]["additional_resources"] if each["location"] == LIKELIHOOD
        )
        assert resource["type"] == "HistFactory"
        held = members((tmp_path / "out" / LIKELIHOOD).read_bytes())
        assert set(held) == {"BkgOnly.json", "patchset.json", "README.md"}
        workspace = json.loads(held["BkgOnly.json"])
        patchset = pyhf.PatchSet(json.loads(held["patchset.json"]))
        patchset.verify(workspace)
        assert patchset.labels == ["m_med", "m_dm", "g_q", "g_dm", "g_l"]
        assert patchset.references == {"hepdata": "ins1847779"}
        # point/0 is the second point of the grid, and has three events in its first bin
        patched = patchset.apply(workspace, (500.0, 100.0, 0.25, 1.0, 0.0))
        model = pyhf.Workspace(patched).model()
        assert model.expected_actualdata(pyhf.tensorlib.astensor([1.0])).tolist() == [53.0, 21.0]
        assert patchset["m_med_500__m_dm_1__g_q_0p25__g_dm_1__g_l_0"].patch[0]["value"]["data"] == [4.0, 1.0]

    def test_signal_per_bin(self, run, tmp_path):
        HepData().export(run, tmp_path / "out")
        found = written(tmp_path / "out")["Signal per bin"]
        where = [[each["value"] for each in column["values"]] for column in found["independent_variables"]]
        events, share = ([each["value"] for each in column["values"]] for column in found["dependent_variables"])
        rows = dict(zip(zip(*where, strict=True), zip(events, share, strict=True), strict=True))
        sigma = next(point["sigma_pb"] for point in json.loads((run / "scan.json").read_text())["points"])
        assert rows[500.0, 1.0, "monojet", 1] == (4.0, pytest.approx(4.0 / (137e3 * sigma), rel=1e-5))
        assert rows[500.0, 100.0, "monojet", 1][0] == 3.0
        assert len(rows) == 4

    def test_signal_per_channel_is_the_sum_of_its_bins(self, run, monkeypatch):
        scan = read(run)
        channels, bins = likelihood.yields(scan, likelihood.of_scan(scan))
        per_bin, per_channel = columns(bins)["Signal events"].values, columns(channels)["Signal events"].values
        assert per_channel == [sum(per_bin[:2]), sum(per_bin[2:])] == [5.0, 4.0]
        monkeypatch.setattr(likelihood, "MOST_ROWS", 3)
        assert [table.name for table in likelihood.yields(scan, likelihood.of_scan(scan))] == ["Signal per channel"]

    def test_the_points_of_a_contour_lie_in_its_rounds(self, run):
        (run / "rounds").mkdir()
        (run / ".records").rmdir()
        (run / "point").rename(run / "rounds/0")
        for place in list((run / "rounds/0").iterdir()):
            (run / "rounds" / place.name / "point").mkdir(parents=True, exist_ok=True)
            place.rename(run / "rounds" / place.name / "point" / place.name)
        assert len(likelihood.of_scan(read(run))) == 2

    def test_without_a_record_there_are_patches_and_no_patchset(self, run, tmp_path, valid):
        document = json.loads((run / "scan.json").read_text())
        write(run, {**document, "references": {}})
        HepData().export(run, tmp_path / "out")
        assert valid(tmp_path / "out") == []
        held = members((tmp_path / "out" / LIKELIHOOD).read_bytes())
        assert "patchset.json" not in held
        assert json.loads(held["patches/m_med_500__m_dm_1__g_q_0p25__g_dm_1__g_l_0.json"]) == signal([4.0, 1.0])

    def test_points_with_other_numbers_are_not_those_of_the_scan(self, run):
        for limit in run.glob("point/*/limit/0/limit.json"):
            document = json.loads(limit.read_text())
            document["mu_upper_obs"] *= 1 + 1e-12
            limit.write_text(json.dumps(document))
        assert likelihood.of_scan(read(run)) == ()

    def test_one_background_for_all(self, run, tmp_path):
        (run / "point/1/workspace/0/workspace.json").write_text(json.dumps({**WORKSPACE, "version": "other"}))
        with pytest.raises(IntegrityError, match="different backgrounds"):
            HepData().export(run, tmp_path / "out")

    def test_a_point_that_replaces_a_sample_adds_the_difference(self):
        replaced = [{"op": "replace", "path": "/channels/0/samples/0/data", "value": [51.0, 22.0]}]
        patched = likelihood.Patched(point={"parameters": {}}, workspace=WORKSPACE, patch=replaced)
        assert list(likelihood._events(patched)) == [("monojet", 1, 1.0), ("monojet", 2, 2.0)]

    def test_a_patch_that_touches_the_background(self):
        constraint = {"name": "b", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}
        background = {**WORKSPACE["channels"][0]["samples"][0], "modifiers": [constraint]}
        workspace = {**WORKSPACE, "channels": [{"name": "monojet", "samples": [background]}]}
        wider = {"op": "replace", "path": "/channels/0/samples/0/modifiers/0/data/hi", "value": 1.2}
        patch = [wider, *signal([2.0, 0.5])]
        patched = likelihood.Patched(point={"parameters": {}}, workspace=workspace, patch=patch)
        assert list(likelihood._events(patched)) == [("monojet", 1, 2.0), ("monojet", 2, 0.5)]

    def test_names_are_pyhfs(self):
        point = {"parameters": {"m_med": 1e6, "coupling": -0.125}}
        name = likelihood.Patched(point=point, workspace={}, patch=[]).name
        assert name == "m_med_1e_06__coupling_m0p125"


class TestOnePoint:
    """What `rerun` leaves is exported as a scan of one point."""

    @pytest.fixture
    def limit_document(self, tmp_path, toy_directory, monkeypatch) -> dict[str, Any]:
        monkeypatch.setattr("recast_dm.runtimes.find", lambda name: FakeRuntime({TOY_IMAGE: toy}))
        settings = recast_dm.Settings(workdir=tmp_path / "rerun", cache=False)
        found = recast_dm.rerun(toy_directory, "spin1-axial", m_med=1000, m_dm=1, settings=settings)
        assert schemas.problem("limit-1", found.document) is None
        return dict(found.document)

    def test_as_a_scan(self, limit_document):
        document = of_limit(limit_document)
        assert schemas.problem("scan-1", document) is None
        assert document["grid"] == {"m_med": [1000.0], "m_dm": [1.0]}
        assert [row["published"] for row in document["closure"]] == [0.5]

    def test_a_submission(self, limit_document, tmp_path, valid):
        (tmp_path / "result.json").write_text(json.dumps(limit_document))
        HepData().export(tmp_path, tmp_path / "out")
        assert valid(tmp_path / "out") == []
        assert "recast-dm rerun toy.capsule --model spin1-axial --set m_med=1000" in str(written(tmp_path / "out")[""])

    def test_without_a_model(self, limit_document):
        with pytest.raises(UsageError, match="no signal model"):
            of_limit({**limit_document, "model": None, "parameters": None})


class TestWords:
    def test_a_scan_by_its_directory_its_document_or_its_name(self, run, tmp_path, cli, monkeypatch, valid):
        monkeypatch.chdir(tmp_path)
        for n, word in enumerate(("run", "run/scan.json")):
            code, out, err = cli("export", word, "--format", "hepdata", "-o", f"out{n}.tar.gz", "--json")
            assert (code, err) == (0, "")
            document = json.loads(out)
            assert schemas.problem("export-1", document) is None
            assert (document["format"], document["source"]) == ("hepdata", word)
            assert valid(Path(f"out{n}.tar.gz")) == []
            assert {"plane.png", "thumb_plane.png"} <= members(Path(f"out{n}.tar.gz").read_bytes()).keys()
        assert Path("out0.tar.gz").read_bytes() == Path("out1.tar.gz").read_bytes()

    def test_what_is_no_scan(self, tmp_path, cli, toy_capsule, monkeypatch):
        monkeypatch.chdir(tmp_path)
        Path("other.json").write_text('{"schema": "recast-dm/plan/1"}')
        Path("broken.json").write_text('{"schema": "recast-dm/scan/1"}')
        for word in ("other.json", "broken.json", str(toy_capsule.path), "nothing"):
            code, _, err = cli("export", word, "--format", "hepdata", "-o", "out")
            assert code == 2, word
            assert err.startswith("error: "), word
            assert not Path("out").exists()
        with pytest.raises(UsageError, match="holds no limits"):
            HepData().export(toy_capsule, Path("out"))

    def test_a_crate_of_a_scan_needs_its_files(self):
        with pytest.raises(UsageError, match="not here"):
            find("ro-crate").export(loaded(scans.document()), Path("out"))


class TestPacking:
    def test_a_tar_file_holds_the_same_without_times_or_owners(self, tmp_path):
        (tmp_path / "b.txt").write_text("from a file")
        files: dict[str, Path | bytes] = {"b.txt": tmp_path / "b.txt", "a.txt": b"from bytes"}
        done = packing.write(files, tmp_path / "x.tar.gz")
        assert (done.files, done.size) == (2, 21)
        with tarfile.open(tmp_path / "x.tar.gz") as archive:
            assert archive.getnames() == ["a.txt", "b.txt"]
            assert {(entry.mtime, entry.uid, entry.gid, entry.mode) for entry in archive} == {(0, 0, 0, 0o644)}
        assert gzip.decompress((tmp_path / "x.tar.gz").read_bytes())
        assert not list(tmp_path.glob(".*")), store.temporaries(tmp_path)
