"""ADD gravitons: words, and the two ways to treat s-hat > M_D^2."""

from __future__ import annotations

import pytest

from recast_dm.signals.add import ADD


@pytest.mark.parametrize("truncation", [0, 1])
def test_words_of_a_point(truncation):
    assert ADD.feeds(ADD.point({"n": "2", "m_d": "11200", "truncation": truncation})) == {
        "parameters": {"n": 2, "m_d": 11200.0, "truncation": truncation},
        "pythia8": {
            "settings": [
                "ExtraDimensionsLED:gg2Gg=on",
                "ExtraDimensionsLED:qg2Gq=on",
                "ExtraDimensionsLED:qqbar2Gg=on",
                "ExtraDimensionsLED:n=2",
                "ExtraDimensionsLED:MD=11200",
                f"ExtraDimensionsLED:CutOffMode={truncation}",
                "5000039:m0=1500",
                "5000039:mWidth=1000",
                "5000039:mMin=1",
                "5000039:mMax=13000",
                "PhaseSpace:pTHatMin=150",
            ],
            "couplings": [],
            "recoil_id": 5000039,
            "invisible_ids": [5000039],
            "expected_width_gev": 0.0,
            "cross_section_factor": 1.0,
        },
        "planes": dict.fromkeys(("SI", "SD-p", "SD-n", "sigmav", "self_conjugate", "m_dm")),
    }


def test_there_is_no_width():
    assert ADD.widths(ADD.point({"n": 2, "m_d": 5000})) is None


@pytest.mark.parametrize(
    ("m_d", "truncation", "ok", "text"),
    [
        (5000, 0, False, "contribute in full: compare with truncation = 1"),
        (5000, 1, True, "suppressed by m_d^4/s-hat^2"),
        (13000, 0, True, "no collision at 13 TeV"),
    ],
)
def test_the_effective_theory(m_d, truncation, ok, text):
    (finding,) = ADD.validity(ADD.point({"n": 4, "m_d": m_d, "truncation": truncation}))
    assert (finding.name, finding.ok) == ("effective-theory", ok)
    assert text in finding.text
