"""Makes event files with Pythia, in the image recast-dm/atlas-exot-2018-06:1.0, as somebody else's generator would.

    python3 make.py axial     OUT.lhe    EVENTS SEED    Z' of 2 TeV (A1 benchmark, m_dm = 1 GeV), no jet
    python3 make.py axial     OUT.hepmc  EVENTS SEED    the same, showered and hadronised, HepMC 3
    python3 make.py slices    OUT.hepmc  EVENTS SEED    the same above 150 GeV of recoil, weighted by slice
    python3 make.py zjets     OUT.lhe    EVENTS SEED    Z (to neutrinos) with 0 or 1 hard jet above 30 GeV, for MLM
    python3 make.py zjets-kt  OUT.lhe    EVENTS SEED    the same, for CKKW-L
    python3 make.py z1jet     OUT.lhe    EVENTS SEED    Z with one hard jet above 150 GeV
    python3 make.py weights   OUT.lhe    EVENTS SEED    `z1jet` with weights for scales and for replicas of a PDF

Matrix elements of Pythia are leading order, with one jet at most: enough for every way in. `.pyhepmc` in the place of
`.hepmc` writes with pyhepmc (2.16), where it is installed: tests hold both to be read alike.
"""

import math
import random
import sys
import tempfile
from pathlib import Path

import pythia8mc
from monojet import generate

QUARKS = range(1, 7)
AXIAL = generate.Signal(
    pythia_settings=(
        "NewGaugeBoson:ffbar2gmZZprime=on",
        "Zprime:gmZmode=3",
        "Zprime:universality=off",
        "Zprime:coup2gen4=on",
        "18:m0=1",
        "18:mayDecay=off",
        "32:m0=2000",
        "32:mMin=10",
        "32:onMode=off",
        "32:onIfAny=18",
    ),
    zprime_couplings=generate.parse_couplings([*(f"{q}=0.0,0.25" for q in QUARKS), "18=0.0,1.0"]),
    recoil_id=32,
    invisible_ids=(18,),
    expected_width_gev=0.0,
)
Z_TO_NEUTRINOS = ("WeakZ0:gmZmode=2", "23:onMode=off", "23:onIfAny=12 14 16")
NO_JET = ("WeakSingleBoson:ffbar2gmZ=on",)
XQCUT = 30
PARTONS_ONLY = ("PartonLevel:all=off", "HadronLevel:all=off")


def one_jet(pt_min):
    words = ("WeakBosonAndParton:qqbar2gmZg=on", "WeakBosonAndParton:qg2gmZq=on", f"PhaseSpace:pTHatMin={pt_min}")
    return (*words, *Z_TO_NEUTRINOS)


def of_standard_model(words):
    return generate.Signal(
        pythia_settings=(), zprime_couplings=(), recoil_id=23, invisible_ids=(18,), expected_width_gev=0.0
    ), words


def hard_events(signal, words, events, seed):
    """Texts of Les Houches events, the cross-section and its error (pb)."""
    pythia = generate.start_pythia(signal, seed, settings=(*words, *PARTONS_ONLY))
    held = pythia.infoPython()  # a copy, which the writer refers to
    writer = pythia8mc.LHAupFromPYTHIA8(pythia.process, held)
    texts = []
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "events.lhe"
        writer.openLHEF(str(path))
        writer.setInit()
        writer.initLHEF()
        scales = []
        while len(scales) < events:
            if pythia.next():
                writer.setEvent()
                writer.eventLHEF()
                info = pythia.infoPython()
                scales.append((info.QFac(), info.alphaEM(), info.alphaS()))
        writer.closeLHEF(False)
        texts = [text.partition("</event>")[0] for text in path.read_text().split("<event>\n")[1:]]
    info = pythia.infoPython()
    return [with_scale(*each) for each in zip(texts, scales, strict=True)], info.sigmaGen() * 1e9, info.sigmaErr() * 1e9


def with_scale(text, scale):
    """Pythia's writer leaves the scale and the couplings of an event 0."""
    head, _, rest = text.partition("\n")
    words = head.split()[:3] + [f"{x:.7e}" for x in scale]
    return " ".join(words) + "\n" + "".join(line + "\n" for line in rest.splitlines() if not line.startswith("#"))


def write_lhe(path, texts, sigma, error, card=None, head=""):
    lines = [f" {value} = {name}" for name, value in (card or {}).items()]
    run_card = "\n".join(["<MGRunCard>", *lines, "</MGRunCard>"]) if card else ""
    path.write_text(
        f'<LesHouchesEvents version="3.0">\n<header>\n{run_card}\n{head}</header>\n<init>\n'
        f"2212 2212 6.5e+03 6.5e+03 0 0 247000 247000 3 1\n{sigma:.7e} {error:.7e} 1.0 9999\n</init>\n"
        + "".join(f"<event>\n{text}</event>\n" for text in texts)
        + "</LesHouchesEvents>\n"
    )


def merged(events, seed):
    """Z with 0 and with 1 jet, in the proportion of their cross-sections, in a random order."""
    model, none = of_standard_model((*NO_JET, *Z_TO_NEUTRINOS))
    zero, sigma_zero, error_zero = hard_events(model, none, events, seed)
    one, sigma_one, error_one = hard_events(model, one_jet(XQCUT), events, seed + 1)
    with_jet = round(events * sigma_one / (sigma_zero + sigma_one))
    texts = zero[: events - with_jet] + one[:with_jet]
    random.Random(seed).shuffle(texts)
    return texts, sigma_zero + sigma_one, math.hypot(error_zero, error_one)


SCALES = [(r, f) for r in (0.5, 1.0, 2.0) for f in (0.5, 1.0, 2.0) if (r, f) != (1.0, 1.0)]
REPLICAS = 12


def with_weights(text, number):
    """Weights as if the rate went like the scale of the event to a small power: made up, to be read."""
    head, _, rest = text.partition("\n")
    scale = float(head.split()[3])
    factors = [(r**-0.1) * (f ** (0.05 * math.log(scale / 91.0))) for r, f in SCALES]
    noise = random.Random(1)
    factors += [1 + noise.gauss(0, 0.02) + noise.gauss(0, 0.02) * math.log(scale / 91.0) for _ in range(REPLICAS)]
    wgts = "".join(f'<wgt id="{n + 1}"> {factor:.7e} </wgt>\n' for n, factor in enumerate(factors))
    return f"{head}\n{rest}<rwgt>\n{wgts}</rwgt>\n"


def weight_groups():
    scales = "".join(
        f'<weight id="{n + 1}" MUR="{r}" MUF="{f}" PDF="247000"> MUR={r} MUF={f} </weight>\n'
        for n, (r, f) in enumerate(SCALES)
    )
    members = "".join(
        f'<weight id="{len(SCALES) + n + 1}" MUR="1.0" MUF="1.0" PDF="{247001 + n}"> PDF={247001 + n} </weight>\n'
        for n in range(REPLICAS)
    )
    return (
        f'<initrwgt>\n<weightgroup name="Central scale variation" combine="envelope">\n{scales}</weightgroup>\n'
        f'<weightgroup name="NNPDF23_lo_as_0130_qed" combine="replicas">\n{members}</weightgroup>\n</initrwgt>\n'
    )


def showered_events(events, seed):
    """Final particles of the Z' benchmark with the settings of the analysis and no veto: (id, px, py, pz, e, m)."""
    pythia = generate.start_pythia(AXIAL, seed)
    found = []
    while len(found) < events:
        if pythia.next():
            found.append([(p.id(), p.px(), p.py(), p.pz(), p.e(), p.m()) for p in pythia.event if p.isFinal()])
    info = pythia.infoPython()
    return found, info.sigmaGen() * 1e9, info.sigmaErr() * 1e9


def sliced_events(events, seed):
    """As `showered_events`, but with the veto and the slices of the analysis: particles, weights, cross-section.

    The cross-section is that of recoils above 150 GeV; the weights of slices are in units of their mean.
    """
    slices = generate.RecoilSlices(edges_gev=generate.SLICE_EDGES_GEV, events=events)
    hook = generate.recoil_slices_hook(slices, AXIAL.recoil_id)
    pythia = generate.start_pythia(AXIAL, seed, hook)
    found = []
    while len(found) < events:
        if pythia.next():
            found.append([(p.id(), p.px(), p.py(), p.pz(), p.e(), p.m()) for p in pythia.event if p.isFinal()])
    info = pythia.infoPython()
    sigma, error = generate.total_cross_section_pb(info)
    seen = sum(slices.seen)
    of_slice = [s / k * events / seen if k else 0.0 for s, k in zip(slices.seen, slices.kept, strict=True)]
    share = seen / info.nSelected()
    return found, [of_slice[k] for k in slices.labels], sigma * share, error * share


def hepmc_text(found, sigma, error, weights=None):
    """HepMC 3 text: two protons go into one vertex, everything that is final comes out of it."""
    lines = ["HepMC::Version 3.02.05", "HepMC::Asciiv3-START_EVENT_LISTING", "W Default"]
    for number, particles in enumerate(found):
        lines += [f"E {number} 1 {len(particles) + 2}", "U GEV MM", f"W {weights[number] if weights else 1.0:.22e}"]
        lines.append(f"A 0 GenCrossSection {sigma:.8e} {error:.8e} {len(found)} {len(found)}")
        for n, pz in ((1, 6500.0), (2, -6500.0)):
            lines.append(f"P {n} 0 2212 0 0 {pz:.16e} {abs(pz):.16e} 0 4")
        lines.append("V -1 0 [1,2]")
        for n, (pdg, *momentum) in enumerate(particles, 3):
            lines.append(f"P {n} -1 {pdg} " + " ".join(f"{x:.16e}" for x in momentum) + " 1")
    return "\n".join([*lines, "HepMC::Asciiv3-END_EVENT_LISTING", ""])


def write_pyhepmc(path, found, sigma, error):
    import pyhepmc

    info = pyhepmc.GenRunInfo()
    info.weight_names = ["Default"]
    with pyhepmc.open(str(path), "w") as stream:
        for number, particles in enumerate(found):
            event = pyhepmc.GenEvent(pyhepmc.Units.GEV, pyhepmc.Units.MM)
            event.run_info, event.event_number = info, number
            vertex = pyhepmc.GenVertex()
            for pz in (6500.0, -6500.0):
                vertex.add_particle_in(pyhepmc.GenParticle((0, 0, pz, abs(pz)), 2212, 4))
            for pdg, px, py, pz, e, m in particles:
                particle = pyhepmc.GenParticle((px, py, pz, e), pdg, 1)
                particle.generated_mass = m
                vertex.add_particle_out(particle)
            event.add_vertex(vertex)
            event.weights = [1.0]
            cross_section = pyhepmc.GenCrossSection()
            event.cross_section = cross_section
            cross_section.set_cross_section(sigma, error, len(found), len(found))
            stream.write(event)


def main(kind, out, events, seed):
    path, events, seed = Path(out), int(events), int(seed)
    standard, _ = of_standard_model(())
    if kind == "axial" and path.suffix == ".lhe":
        write_lhe(path, *hard_events(AXIAL, (), events, seed))
    elif kind == "axial":
        found, sigma, error = showered_events(events, seed)
        if path.suffix == ".pyhepmc":
            write_pyhepmc(path, found, sigma, error)
        else:
            path.write_text(hepmc_text(found, sigma, error))
    elif kind == "slices":
        found, weights, sigma, error = sliced_events(events, seed)
        path.write_text(hepmc_text(found, sigma, error, weights))
    elif kind == "zjets":
        card = {"ickkw": 1, "xqcut": XQCUT, "maxjetflavor": 5, "alpsfact": 1.0, "ktdurham": -1.0}
        write_lhe(path, *merged(events, seed), card)
    elif kind == "zjets-kt":
        card = {"ickkw": 0, "xqcut": 0.0, "maxjetflavor": 5, "ktdurham": XQCUT, "dparameter": 0.4}
        write_lhe(path, *merged(events, seed), card)
    elif kind == "z1jet":
        write_lhe(path, *hard_events(standard, one_jet(150), events, seed))
    elif kind == "weights":
        texts, sigma, error = hard_events(standard, one_jet(150), events, seed)
        write_lhe(path, [with_weights(t, n) for n, t in enumerate(texts)], sigma, error, head=weight_groups())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
