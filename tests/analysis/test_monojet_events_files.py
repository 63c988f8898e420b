"""Event files are read as they stand, and each thing that is wrong with one is one error that says where."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from monojet import hepmc, lhe, opened
from monojet.errors import InputError

DATA = Path(__file__).parents[1] / "data/events"
Z1JET = (DATA / "z1jet.lhe").read_text()
HEPMC = gzip.decompress((DATA / "axial.hepmc.gz").read_bytes()).decode()


def written(tmp_path, text, name="bad.lhe"):
    path = tmp_path / name
    path.write_text(text)
    return path


def particles_of(path):
    return [event.particles() for event, _ in hepmc.events_of(path)]


def lhe_error(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        list(lhe.events_of(path))
    return str(caught.value)


def hepmc_error(tmp_path, text, name="bad.hepmc"):
    path = written(tmp_path, text, name)
    with pytest.raises(InputError) as caught:
        particles_of(path)
    return str(caught.value)


def test_a_les_houches_file_is_read():
    head = lhe.head_of(DATA / "z1jet.lhe")
    events = list(lhe.events_of(DATA / "z1jet.lhe"))
    assert head.sigma_pb == pytest.approx(34.9, rel=0.2)  # 34.9 +- 0.3 pb with 4000 events
    assert (len(events), head.strategy, head.variations) == (40, 3, ())
    assert {e.hard_partons for e in events} == {1}
    assert all(abs(i) in (1, 2, 3, 4, 5, 12, 14, 16, 21) for e in events for i in e.final_ids)
    assert len({e.key for e in events}) == 40
    assert all(e.scale_gev > 150 for e in events)


def test_a_run_card_and_multiplicities_are_read():
    head = lhe.head_of(DATA / "zjets.lhe.gz")
    assert {name: head.run_card[name] for name in ("ickkw", "xqcut", "maxjetflavor")} == {
        "ickkw": "1",
        "xqcut": "30",
        "maxjetflavor": "5",
    }
    assert {e.hard_partons for e in lhe.events_of(DATA / "zjets.lhe.gz")} == {0, 1}


def test_weights_are_read_in_their_groups():
    head = lhe.head_of(DATA / "weights.lhe.gz")
    event = next(lhe.events_of(DATA / "weights.lhe.gz"))
    assert [v.combine for v in head.variations] == ["envelope"] * 8 + ["replicas"] * 12
    assert set(event.variations) == {v.id for v in head.variations}
    assert event.variations["1"] == pytest.approx(1.0, rel=0.5)


def test_the_key_is_that_of_the_particles_alone(tmp_path):
    """Blanks, weight, process number and comments may be other in a file that a tool has merged."""
    first = next(lhe.events_of(DATA / "z1jet.lhe"))
    other = (
        Z1JET.replace("        ", " ")
        .replace(" 9999 1.000000e+00", " 1 2.500000e-03")
        .replace("</event>", "# merged\n<rwgt>\n</rwgt>\n</event>")
    )
    again = next(lhe.events_of(written(tmp_path, other)))
    assert (again.key, again.weight) == (first.key, 0.0025)


def test_packed_or_not_the_events_are_the_same(tmp_path):
    packed = tmp_path / "packed.lhe"  # found from the bytes, not by its name
    packed.write_bytes(gzip.compress(Z1JET.encode()))
    assert [e.key for e in lhe.events_of(packed)] == [e.key for e in lhe.events_of(DATA / "z1jet.lhe")]


def line_of(text, part):
    return text[: text.index(part)].count("\n") + 1


def test_a_file_without_an_end_is_truncated(tmp_path):
    text = Z1JET.replace("</LesHouchesEvents>\n", "")
    assert lhe_error(tmp_path, text) == (
        f"bad.lhe:{text.count(chr(10))}: the file is truncated: it does not end with </LesHouchesEvents>"
    )


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (Z1JET.index("<init>"), "the file is truncated: there is no <init> block"),
        (Z1JET.index("2212 2212"), "the file is truncated within <init>"),
        (Z1JET.index("</init>"), "the file is truncated within <init>"),
        (Z1JET.index("</event>"), "the event is truncated: there is no </event>"),
        (Z1JET.index("</event>") - 200, "found"),
    ],
)
def test_truncated_files_say_where(tmp_path, cut, said):
    message = lhe_error(tmp_path, Z1JET[:cut])
    assert message.startswith(f"bad.lhe:{len(Z1JET[:cut].splitlines())}: ")
    assert said in message


def test_a_packed_file_without_an_end_is_truncated(tmp_path):
    path = tmp_path / "bad.lhe.gz"
    packed = gzip.compress(Z1JET.encode())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=r"bad\.lhe\.gz:\d+: the file is truncated: its gzip stream has no end"):
        list(lhe.events_of(path))
    path.write_bytes(packed[:200] + b"garbage" + packed[207:])
    with pytest.raises(InputError, match=r"bad\.lhe\.gz:\d+: "):
        list(lhe.events_of(path))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("2212 2212 6.5e+03 6.5e+03", "2212 -2212 6.5e+03 6.5e+03", "the beams are 2212 of 6500 and -2212 of 6500 GeV"),
        ("2212 2212 6.5e+03 6.5e+03", "2212 2212 7e+03 7e+03", "the beams are 2212 of 7000 and 2212 of 7000 GeV"),
        ("2212 2212 6.5e+03 6.5e+03", "11 -11 45.6 45.6", "the beams are 11 of 45.6 and -11 of 45.6 GeV"),
        ("2212 2212 6.5e+03", "2212 2212 beam", "expected 10 finite number(s), found '2212 2212 beam"),
        ("247000 247000 3 1", "247000 247000 2 2", "weights of 2 processes with IDWTUP = 2 have no clear meaning"),
        ("247000 247000 3 1", "247000 247000 3 0", "<init> names no process"),
    ],
)
def test_what_is_wrong_before_the_events(tmp_path, old, new, said):
    message = lhe_error(tmp_path, Z1JET.replace(old, new, 1))
    assert message.startswith(f"bad.lhe:{line_of(Z1JET, old)}: ")
    assert said in message


def particle(n):
    """The n-th line of the first event: 0 is its header."""
    return Z1JET.partition("<event>\n")[2].splitlines()[n]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda row: row.replace("e+0", "x+0", 1), "expected 13 finite number(s)"),
        (lambda row: " ".join(row.split()[:12]), "expected 13 finite number(s)"),
        (lambda row: " ".join([*row.split()[:9], "nan", *row.split()[10:]]), "expected 13 finite number(s)"),
    ],
    ids=["no number", "a number is missing", "nan"],
)
def test_what_is_wrong_with_a_particle(tmp_path, edit, said):
    row = particle(2)
    message = lhe_error(tmp_path, Z1JET.replace(row, edit(row), 1))
    assert message.startswith(f"bad.lhe:{line_of(Z1JET, row)}: {said}")


def test_momentum_is_conserved(tmp_path):
    row = particle(4)
    words = row.split()
    words[6] = str(float(words[6]) + 100)
    message = lhe_error(tmp_path, Z1JET.replace(row, " ".join(words), 1))
    assert message == f"bad.lhe:{line_of(Z1JET, '<event>')}: outgoing momenta differ from the incoming ones by 100 GeV"


def test_text_between_events_is_no_event(tmp_path):
    message = lhe_error(tmp_path, Z1JET.replace("</event>\n<event>", "</event>\nhello\n<event>", 1))
    assert "'hello' stands between events" in message


def test_fortran_exponents_are_numbers(tmp_path):
    row = particle(1)
    path = written(tmp_path, Z1JET.replace(row, row.replace("e+", "D+"), 1))
    assert len(list(lhe.events_of(path))) == 40


@pytest.mark.parametrize(
    ("text", "said"), [("", "is empty"), ("<html>", "begins with '<html>'"), ("\x00\x01", "begins")]
)
def test_what_is_no_event_file_is_said_to_be_none(tmp_path, text, said):
    with pytest.raises(InputError, match=f"bad.lhe {said}.*neither a Les Houches event file nor HepMC"):
        opened.is_hepmc(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot read gone\.lhe: No such file"):
        opened.is_hepmc(tmp_path / "gone.lhe")


# --- HepMC ---


def test_hepmc_is_read_as_pyhepmc_writes_it():
    """The two files hold the same events: one was written by pyhepmc, the other by make.py."""
    ours, theirs = particles_of(DATA / "axial.hepmc.gz"), particles_of(DATA / "axial.pyhepmc.gz")
    assert len(ours) == len(theirs) == 5
    for a, b in zip(ours, theirs, strict=True):
        assert a.pdg.tolist() == b.pdg.tolist()
        np.testing.assert_allclose(a.momenta, b.momenta, rtol=1e-12)
    first, names = next(iter(hepmc.events_of(DATA / "axial.pyhepmc.gz")))
    assert (first.weights, names, first.cross_section.accepted) == ((1.0,), ("Default",), 5)


def test_hepmc_events_balance():
    """With the invisible ones, all of the beams' momentum comes out."""
    for event, _ in hepmc.events_of(DATA / "axial.hepmc.gz"):
        total = event.particles().momenta.sum(axis=0)
        np.testing.assert_allclose(total, [0, 0, 0, 13000], atol=0.5)


IO_GENEVENT = """
HepMC::Version 2.06.09
HepMC::IO_GenEvent-START_EVENT_LISTING
E 0 -1 9.2e+01 1.2e-01 7.8e-03 9999 0 1 1 2 0 2 1.5e+00 -3.0e-01
N 2 "Weight" "MUR0.5_MUF0.5"
U MEV MM
C 3.5e-01 1.0e-02
V -1 0 0 0 0 0 2 2 0
P 1 2212 0 0 6500000 6500000 938.27 4 0 0 -1 0
P 2 2212 0 0 -6500000 6500000 938.27 4 0 0 -1 0
P 3 22 300000 0 400000 500000 0 1 0 0 0 1 1 101
P 4 52 -300000 0 0 300000 1000 1 0 0 0 0
HepMC::IO_GenEvent-END_EVENT_LISTING
"""


def test_hepmc_2_is_read_in_its_units(tmp_path):
    path = written(tmp_path, IO_GENEVENT)
    assert opened.is_hepmc(path)
    ((event, names),) = hepmc.events_of(path)
    particles = event.particles()
    assert particles.pdg.tolist() == [22, 52]
    assert particles.momenta.tolist() == [[300, 0, 400, 500], [-300, 0, 0, 300]]
    assert (event.weights, names) == ((1.5, -0.3), ("Weight", "MUR0.5_MUF0.5"))
    assert (event.cross_section.pb, event.cross_section.error_pb) == (0.35, 0.01)


def test_hepmc_2_knows_how_many_particles_it_has(tmp_path):
    message = hepmc_error(tmp_path, IO_GENEVENT.replace("P 4 52 -300000 0 0 300000 1000 1 0 0 0 0\n", ""))
    assert message == "bad.hepmc:4: event 1 has 3 of its 4 particles"


def test_truncated_hepmc_says_in_which_event(tmp_path):
    third = HEPMC.index("E 2 ")
    assert "truncated within event 2:" in hepmc_error(tmp_path, HEPMC[:third])
    assert "truncated before its first event" in hepmc_error(tmp_path, HEPMC[: HEPMC.index("E 0 ")])


def test_a_particle_too_few_is_noticed(tmp_path):
    lines = HEPMC.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("P 7 "))
    message = hepmc_error(tmp_path, "\n".join(lines[:first] + lines[first + 1 :]))
    assert message.startswith("bad.hepmc:4: event 1 has ")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "6.5000000000000000e+03 6.5000000000000000e+03 0 4",
            "7e3 7e3 0 4",
            "the beams .* are 2212 of 7000 GeV",
        ),
        ("P 1 0 2212", "P 1 0 11", "the beams .status 4. are 11 of 6500 GeV"),
        ("U GEV MM", "U TEV MM", "event 1 is damaged: 'U TEV MM' is no line of HepMC 3"),
        ("W 1.0", "W nan", "event 1 is damaged: 'W nan"),
        ("P 9 -1 ", "P 9 -1 x", "event 1 is damaged: 'P 9 -1 x"),
        ("V -1 0 [1,2]", "Q -1 0 [1,2]", "event 1 is damaged: 'Q -1 0"),
    ],
)
def test_what_is_wrong_with_hepmc(tmp_path, old, new, said):
    path = written(tmp_path, HEPMC.replace(old, new, 1), "bad.hepmc")
    with pytest.raises(InputError, match=rf"bad\.hepmc:\d+: .*{said}"):
        particles_of(path)


def test_the_key_of_an_event_is_not_its_number_or_weight(tmp_path):
    renumbered = HEPMC.replace("E 0 1", "E 17 1", 1).replace("W 1.0", "W 2.0", 1)
    keys = [[e.key for e, _ in hepmc.events_of(p)] for p in (DATA / "axial.hepmc.gz", written(tmp_path, renumbered))]
    assert keys[0] == keys[1]


@pytest.mark.parametrize("order", [1, -1])
def test_the_best_running_estimate_wins_in_any_order(order):
    early = hepmc.CrossSection(pb=1.0, error_pb=0.2, accepted=10)
    late = hepmc.CrossSection(pb=1.1, error_pb=0.1, accepted=1000)
    unknown = hepmc.CrossSection(pb=3.0, error_pb=0.0, accepted=0)
    best = None
    for estimate in (unknown, early, late)[::order]:
        best = hepmc.best(best, estimate)
    assert best is late


MADGRAPH = """<LesHouchesEvents version="3.0">
<header>
<MG5ProcCard>
generate p p > xd xd~ j @0
</MG5ProcCard>
<MGRunCard>
<![CDATA[
#*********************************************************************
  2  = lpp1    ! beam 1 type
  6500.0     = ebeam1  ! beam 1 total energy in GeV
  'lhapdf'  = pdlabel     ! PDF set
 1  = ickkw            ! 0 no matching, 1 MLM
  25.0   = xqcut   ! minimum kt jet measure between partons
 5 = maxjetflavor    ! Maximum jet pdg code
 -1.0  =  ktdurham
]]>
</MGRunCard>
<initrwgt>
<weightgroup name="Central scale variation" combine="envelope">
<weight id="1" MUR="0.5" MUF="0.5" PDF="247000" > MUR=0.5 MUF=0.5 </weight>
</weightgroup>
</initrwgt>
</header>
<init>
2212 2212 6.500000e+03 6.500000e+03 0 0 247000 247000 -4 1
3.100000e-01 2.000000e-03 3.100000e-01 1
<generator name='MadGraph5_aMC@NLO' version='3.5.0'>please cite 1405.0301 </generator>
</init>
<event npLO=" 1 " npNLO=" -1 ">
 5 1 +3.1000000e-01 2.0e+02 7.8e-03 1.1e-01
       21 -1    0    0  501  502 +0.00e+00 +0.00e+00 +3.00e+02 3.00e+02 0.0e+00 0.0e+00 1.0e+00
        2 -1    0    0  502    0 -0.00e+00 -0.00e+00 -3.00e+02 3.00e+02 0.0e+00 0.0e+00 -1.0e+00
       52  1    1    2    0    0 +1.00e+02 +0.00e+00 +0.00e+00 2.00e+02 1.7e+02 0.0e+00 -1.0e+00
      -52  1    1    2    0    0 +1.00e+02 +0.00e+00 +0.00e+00 2.00e+02 1.7e+02 0.0e+00 1.0e+00
        2  1    1    2  501    0 -2.00e+02 +0.00e+00 +0.00e+00 2.00e+02 0.0e+00 0.0e+00 -1.0e+00
<mgrwt>
<rscale>  1 0.20000000E+03</rscale>
<pdfrwt beam="1">  1       21 0.46153846E-01 0.20000000E+03</pdfrwt>
</mgrwt>
<rwgt>
<wgt id='1'> +3.4000000e-01 </wgt>
</rwgt>
</event>
</LesHouchesEvents>
"""
"""What MadGraph writes around an event, by its format; the event is made up."""


def test_madgraphs_way_of_writing_is_read(tmp_path):
    path = written(tmp_path, MADGRAPH)
    head = lhe.head_of(path)
    (event,) = lhe.events_of(path)
    assert (head.sigma_pb, head.sigma_error_pb, head.strategy) == (0.31, 0.002, -4)
    card = {"lpp1": "2", "ebeam1": "6500.0", "pdlabel": "lhapdf", "ickkw": "1", "xqcut": "25.0", "maxjetflavor": "5"}
    assert head.run_card == {**card, "ktdurham": "-1.0"}
    assert (event.weight, event.hard_partons, event.final_ids) == (0.31, 1, (52, -52, 2))
    assert event.variations == {"1": 0.34}
    assert head.variations[0].group == "Central scale variation"
