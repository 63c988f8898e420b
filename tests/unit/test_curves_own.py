"""A user's own curves: what files they may stand in, what must be said of them, and where they are kept."""

import json
import math
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm import schemas
from recast_dm.curves import own, reading, shipped, tables, units
from recast_dm.curves.curve import Curve
from recast_dm.errors import IntegrityError, RecastError, UsageError

SAID = {
    "name": "mine",
    "quantity": "SI",
    "confidence_level": 0.9,
    "citation": "A paper, arXiv:2410.17036",
    "dm_assumption": "all of it",
}
SIGMAV = {**SAID, "quantity": "sigmav", "channel": "bb", "self_conjugate": True}


@pytest.fixture
def file(tmp_path):
    def file(name: str, text: str) -> Path:
        place = tmp_path / name
        place.write_text(text)
        return place

    return file


POINTS = [(10.0, 1e-46), (100.0, 2e-47), (1000.0, 3e-46)]


def same(curve: Curve, points: list[tuple[float, float]]) -> bool:
    """Relative only: pytest.approx has an absolute tolerance that such small numbers always pass."""
    found = zip(curve.masses, curve.limits, strict=True)
    return all(math.isclose(a, b) for pair in zip(found, points, strict=True) for a, b in zip(*pair, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "10,1e-46\n100,2e-47\n1000,3e-46\n",
        "mass,limit\n10,1e-46\n100,2e-47\n1000,3e-46\n",
        "# digitised by hand\n\n10 1e-46\n100\t2e-47 # the minimum\n 1000   3e-46\n",
        "mass;limit\n10;1e-46\n100;2e-47\n1000;3e-46\n",
        "1000,3e-46\n100,2e-47\n10,1e-46\n",  # by falling mass
        '"M(CHI) [TEV]","LIMIT [CM^2]"\n0.01,1e-46\n0.1,2e-47\n1,3e-46\n',
        "mass (GeV),limit (pb)\n10,1e-10\n100,2e-11\n1000,3e-10\n",
        "\ufeffmass,limit\n10,1e-46\n100,2e-47\n1000,3e-46\n",
        "mass,limit\n10,1e-46\n20,-\n100,2e-47\n1000,3e-46\n",  # HEPData writes - where there is no value
    ],
)
def test_tables_in_text(file, text):
    assert same(reading.read(file("c.csv", text), SAID), POINTS)


HEPDATA_CSV = """#: name: Table 1
#: table_doi: 10.17182/hepdata.1
#: keyword reactions: P P --> X
"M(CHI) [GEV]","M(CHI) [GEV] LOW","M(CHI) [GEV] HIGH","Limit [pb]","stat +","stat -"
10.0,9.0,11.0,1e-10,1e-11,-1e-11
100.0,90.0,110.0,2e-11,1e-12,-1e-12
1000.0,900.0,1100.0,3e-10,1e-11,-1e-11

"M(CHI) [GEV]","Expected [pb]"
10.0,5e-10
1000.0,5e-10
"""


def test_a_table_of_hepdata_as_csv(file):
    with pytest.raises(UsageError, match="several columns") as caught:
        reading.read(file("t.csv", HEPDATA_CSV), SAID)
    assert "'Limit', 'Expected'" in (caught.value.hint or "")
    assert same(reading.read(file("t.csv", HEPDATA_CSV), SAID, column="Limit"), POINTS)
    expected = reading.read(file("t.csv", HEPDATA_CSV), SAID, column="Expected")
    assert same(expected, [(10.0, 5e-46), (1000.0, 5e-46)])
    with pytest.raises(UsageError, match="no single column 'other'"):
        reading.read(file("t.csv", HEPDATA_CSV), SAID, column="other")


HEPDATA_YAML = """
independent_variables:
- header: {name: '$m_{\\chi}$', units: TeV}
  values: [{value: 0.01}, {value: 0.05}, {low: 0.09, high: 0.11}, {value: 1}]
dependent_variables:
- header: {name: Observed limit, units: '$\\mathrm{cm}^{3}\\mathrm{s}^{-1}$'}
  qualifiers: [{name: CL, value: 0.95}]
  values:
  - {value: 1.0e-22, errors: [{symerror: 1.0e-23, label: stat}]}
  - {value: '-'}
  - {value: 2.0e-23}
  - {value: 3.0e-22}
"""


def test_a_table_of_hepdata_as_yaml(file):
    curve = reading.read(file("t.yaml", HEPDATA_YAML), SIGMAV)
    assert same(curve, [(10.0, 1e-22), (100.0, 2e-23), (1000.0, 3e-22)])
    assert curve.unit == "cm3/s"


OWN = """
name: mine
experiment: Some experiment
year: 2023
quantity: SD-n
confidence_level: 0.9
citation: 'A paper, doi:10.1103/PhysRevD.1.1'
dm_assumption: all of it
digitised: true
note: read by eye
masses: [10, 100, 1000]
limits: [1.0e-46, 2.0e-47, 3.0e-46]
"""


def test_a_yaml_file_may_say_everything_itself_and_options_go_before_it(file):
    curve = reading.read(file("c.yml", OWN), {})
    assert (curve.quantity, curve.year, curve.experiment, curve.digitised) == ("SD-n", 2023, "Some experiment", True)
    assert curve.citation.doi == "10.1103/PhysRevD.1.1"
    assert same(curve, POINTS)
    other = reading.read(file("c.yml", OWN), {"quantity": "SI", "name": "other", "mass_unit": "TeV"})
    assert (other.quantity, other.name, other.masses[0]) == ("SI", "other", 10000.0)


def test_what_is_not_said_is_taken_from_the_arxiv_number_and_the_name(file):
    curve = reading.read(file("c.csv", "10,1e-46\n100,2e-47\n"), SAID)
    assert (curve.year, curve.experiment, curve.citation.arxiv, curve.digitised) == (2024, "mine", "2410.17036", False)


@pytest.mark.parametrize(
    ("name", "text", "where", "said"),
    [
        ("c.csv", "mass,limit\n10,1e-46\n100,abc\n", "c.csv:3", "'abc' in column 2 is not a number"),
        ("c.csv", "mass,limit\n10,1e-46\n100\n", "c.csv:3", "1 columns, where 2"),
        ("c.csv", "10,1e-46\n100,0\n", "c.csv:2", "0 is not positive"),
        ("c.csv", "10,1e-46\n100,nan\n", "c.csv:2", "nan is not positive"),
        ("c.csv", "-10,1e-46\n100,1e-46\n", "c.csv:1", "-10 is not positive"),
        ("c.csv", "10,1e-46\n100,1e-46\n50,1e-46\n", "c.csv:3", "turns back"),
        ("c.csv", "10,1e-46\n10,1e-47\n", "c.csv:2", "turns back"),
        ("c.csv", "mass [furlong],limit\n10,1e-46\n100,1e-46\n", "c.csv:2", "unit 'furlong' is not known"),
        ("c.csv", "mass,limit [GeV]\n10,1e-46\n100,1e-46\n", "c.csv:2", "unit 'GeV' is not known"),
        ("c.csv", "10,1e-46\n", "c.csv:1", "two points"),
        ("c.csv", "# nothing\n", "c.csv:1", "no numbers"),
        ("c.csv", "10\n100\n", "c.csv:1", "masses and limits"),
        ("c.yml", "masses: [10, x]\nlimits: [1.0e-46, 1.0e-46]\n", "c.yml:1:14", "'x' is not a number"),
        ("c.yml", "masses: [10]\nlimits: [1.0e-46, 1.0e-46]\n", "c.yml:2", "2 limits for 1 masses"),
        ("c.yml", "masses: 10\nlimits: [1.0e-46]\n", "c.yml:1", "masses is missing, or no list"),
        ("c.yml", "masses: [10, 20]\n", "c.yml:1", "limits is missing, or no list"),
        ("c.yml", "masses: [1, 2]\nlimits: [1, 2]\nyear: '2020'\n", "c.yml:3", "year is '2020'"),
        ("c.yml", "masses: [1, 2]\nlimits: [1, 2]\nyear: true\n", "c.yml:3", "year is True"),
        ("c.yml", "masses: [1, 2]\nlimits: [1, 2]\ncitation: {a: 1}\n", "c.yml:3", "citation is"),
        ("c.yml", "masses: [1, 2]\nlimits: [1, 2]\ncolour: red\n", "c.yml:3", "has no 'colour'"),
        ("c.yml", "[1, 2]\n", "c.yml:1", "a curve is a mapping"),
        ("c.yml", "independent_variables: []\n", "c.yml:1", "has independent_variables and dependent"),
        (
            "t.yml",
            "independent_variables: [{values: [{value: 1}]}]\ndependent_variables: [{values: [{value: y}]}]\n",
            "t.yml:2",
            "'y' is not a number",
        ),
        (
            "t.yml",
            "independent_variables: [{values: [{value: 1}]}]\ndependent_variables: [{values: []}]\n",
            "t.yml:2",
            "0 values for 1 masses",
        ),
    ],
)
def test_a_file_that_is_no_curve_is_one_error_with_its_place(file, name, text, where, said):
    with pytest.raises(RecastError, match="(?s)" + said.replace("'", ".").replace("[", r"\[")) as caught:
        reading.read(file(name, text), SAID)
    assert caught.value.where is not None
    assert f"{Path(caught.value.where.file).name}:{caught.value.where.line}:{caught.value.where.column}".startswith(
        where
    )


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        reading.read(tmp_path / "none.csv", SAID)
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe1")
    with pytest.raises(UsageError, match="UTF-8"):
        reading.read(tmp_path / "b.csv", SAID)
    (tmp_path / "big.csv").write_bytes(b"#" * (tables.LARGEST + 1))
    with pytest.raises(UsageError, match="larger than"):
        reading.read(tmp_path / "big.csv", SAID)


@pytest.mark.parametrize("missing", list(SAID))
def test_what_must_be_said_is_asked_for(file, missing):
    place = file("c.csv", "10,1e-46\n100,2e-47\n")
    with pytest.raises(UsageError, match=f"needs .*{missing}"):
        reading.read(place, {key: value for key, value in SAID.items() if key != missing})


def test_of_annihilation_the_channel_and_the_kind_of_dark_matter_must_be_said(file):
    place = file("c.csv", "10,1e-24\n100,2e-25\n")
    with pytest.raises(UsageError, match="needs channel, self_conjugate"):
        reading.read(place, {**SAID, "quantity": "sigmav"})
    with pytest.raises(UsageError, match="limits no annihilation"):
        reading.read(place, {**SAID, "channel": "bb"})
    with pytest.raises(UsageError, match="needs year"):
        reading.read(place, {**SAID, "citation": "private communication"})
    with pytest.raises(UsageError, match="is no name"):
        reading.read(place, {**SAID, "name": "my limit"})


@pytest.mark.parametrize(
    ("unit", "known", "expected"),
    [
        ("GeV", units.GEV, 1.0),
        ("GEV", units.GEV, 1.0),
        ("TeV/", None, None),
        ("$\\mathrm{cm}^2$", units.CM2, 1.0),
        ("cm**2", units.CM2, 1.0),
        ("pb", units.CM2, 1e-36),
        ("fb", units.CM2, 1e-39),
        ("zb", units.CM2, 1e-45),
        ("cm^3 s^-1", units.CM3_PER_S, 1.0),
        ("cm$^3$/s", units.CM3_PER_S, 1.0),
        ("m3/s", units.CM3_PER_S, 1e6),
    ],
)
def test_units_however_they_are_spelt(unit, known, expected):
    if known is None:
        with pytest.raises(UsageError, match="not known"):
            units.factor(unit, units.GEV)
    else:
        assert math.isclose(units.factor(unit, known), expected)


# --- keeping -----------------------------------------------------------------------------------------------------


@pytest.fixture
def mine(file) -> Curve:
    return reading.read(file("c.csv", "10,1e-46\n100,2e-47\n1000,3e-46\n"), SAID)


def test_a_curve_is_kept_and_stands_behind_those_that_ship(tmp_path, mine):
    place = tmp_path / "deep" / "curves.json"
    assert own.known(place) == shipped()
    own.add(place, mine, "/data/c.csv")
    assert schemas.problem("curves-1", json.loads(place.read_text())) is None
    assert own.known(place) == (*shipped(), mine)
    assert own.load(place)[0].source == "/data/c.csv"


def test_a_name_is_taken_once(tmp_path, mine, file):
    place = tmp_path / "curves.json"
    own.add(place, mine, "a")
    with pytest.raises(UsageError, match="already"):
        own.add(place, mine, "b")
    assert own.load(place)[0].source == "a"
    own.add(place, mine, "b", replace=True)
    assert [kept.source for kept in own.load(place)] == ["b"]
    ours = reading.read(file("d.csv", "10,1e-46\n100,2e-47\n"), {**SAID, "name": "lz-2024-si"})
    with pytest.raises(UsageError, match="comes with recast-dm"):
        own.add(place, ours, "c", replace=True)


def test_forgetting_is_all_or_nothing(tmp_path, mine):
    place = tmp_path / "curves.json"
    own.add(place, mine, "a")
    for other in ("nothing", "lz-2024-si"):
        with pytest.raises(UsageError, match=other):
            own.remove(place, ["mine", other])
        assert len(own.load(place)) == 1
    assert own.remove(place, ["mine", "mine"]) == ("mine",)
    assert own.load(place) == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document.update(schema="recast-dm/curves/9"),
        lambda document: document["curves"][0].update(limits=[1e-46]),
        lambda document: document["curves"][0].update(masses=[3, 2, 1]),
        lambda document: document["curves"][0].pop("citation"),
        lambda document: document["curves"][0].update(confidence_level=90),
    ],
)
def test_a_damaged_file_is_an_integrity_error(tmp_path, mine, damage):
    place = tmp_path / "curves.json"
    own.add(place, mine, "a")
    document = json.loads(place.read_text())
    damage(document)
    place.write_text(json.dumps(document))
    with pytest.raises(IntegrityError):
        own.load(place)


def _add(place: Path, curve: Curve, n: int) -> None:
    from dataclasses import replace

    own.add(place, replace(curve, name=f"c{n}"), "x")


def test_two_who_add_at_once_both_keep_theirs(tmp_path, mine):
    place = tmp_path / "curves.json"
    context = get_context("fork")
    several = [context.Process(target=_add, args=(place, mine, n)) for n in range(6)]
    for each in several:
        each.start()
    for each in several:
        each.join(60)
    assert [kept.curve.name for kept in own.load(place)] == [f"c{n}" for n in range(6)]


# --- anything in a file ------------------------------------------------------------------------------------------

CELLS = st.sampled_from(
    ["10", "100", "1e-46", "2e-47", "mass", "limit [pb]", "-", "", "nan", "inf", "x", "#", '"', "''"]
)
TABLES = st.lists(st.lists(CELLS, max_size=4), max_size=5).flatmap(
    lambda rows: st.sampled_from([",", ";", "\t", " "]).map(lambda by: "\n".join(by.join(row) for row in rows))
)
SCALARS = st.one_of(st.none(), st.booleans(), st.floats(1e-3, 1e3), st.text(max_size=5), st.just("0.1"))
DOCUMENTS = st.dictionaries(
    st.sampled_from(["masses", "limits", "name", "year", "quantity", "independent_variables", "dependent_variables"]),
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(["header", "values", "value", "low", "high", "name", "units"]), inner),
        ),
        max_leaves=12,
    ),
)


def read_or_refuse(place: Path) -> Curve | None:
    """The curve, or None where the user gets one error; anything else escapes."""
    try:
        return reading.read(place, SAID)
    except RecastError:
        return None


@given(st.one_of(TABLES.map(lambda text: ("c.csv", text)), DOCUMENTS.map(lambda d: ("c.yml", json.dumps(d)))))
def test_whatever_is_in_a_file_is_a_curve_or_one_error(tmp_path_factory, named):
    place = tmp_path_factory.getbasetemp() / named[0]
    place.write_text(named[1])
    curve = read_or_refuse(place)
    assert curve is None or Curve.from_document(curve.document()) == curve


@given(st.text(alphabet="0123456789.eE+-, \n\t#abM[]", max_size=60))
def test_any_text_is_a_table_or_one_error(tmp_path_factory, text):
    place = tmp_path_factory.getbasetemp() / "any.csv"
    place.write_text(text)
    curve = read_or_refuse(place)
    assert curve is None or all(b > a > 0 for a, b in pairwise(curve.masses))
