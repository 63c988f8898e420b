"""Kinds of event files that cannot be read: one clear error, never events with the wrong weights or jets twice."""

import gzip
import re
from pathlib import Path

import pytest
from monojet import events, lhe, matching
from monojet.errors import InputError

WEIGHTS = Path(__file__).parents[1] / "data" / "events" / "weights.lhe.gz"


def test_compressed_weights_of_lhe3(tmp_path):
    """`<weights>` holds the numbers of all `<wgt>` in one line. The head names weights that then no event has."""
    text = gzip.decompress(WEIGHTS.read_bytes()).decode()
    numbers = re.compile(r"<wgt[^>]*>([^<]*)</wgt>\s*")
    compressed = re.sub(
        r"<rwgt>(.*?)</rwgt>",
        lambda found: f"<weights>{' '.join(each.strip() for each in numbers.findall(found[1]))}</weights>",
        text,
        flags=re.DOTALL,
    )
    assert compressed != text
    path = tmp_path / "compressed.lhe"
    path.write_text(compressed)
    ids = [variation.id for variation in lhe.head_of(path).variations]
    first = next(iter(lhe.events_of(path)))
    with pytest.raises(InputError, match=r"compressed\.lhe:\d+: the event has no weight '.*', which the file's head"):
        events._ratios(first, ids)


@pytest.mark.parametrize(("ickkw", "scheme"), [("2", "CKKW"), ("3", "FxFx"), ("4", "UNLOPS")])
def test_samples_merged_at_next_to_leading_order(ickkw, scheme):
    with pytest.raises(InputError, match=rf"merged by {scheme} \(ickkw = {ickkw}\).*give the events as HepMC"):
        matching.matching({"ickkw": ickkw}, {0: 10, 1: 5}, [(-52, 52)])


@pytest.mark.parametrize("multiplicities", [{0: 10, 1: 5}, {1: 10}])
def test_events_at_next_to_leading_order_without_merging(multiplicities):
    """aMC@NLO's: also where every event has the same number of jets, its weights are subtracted for one shower."""
    with pytest.raises(InputError, match=r"next-to-leading order, to be showered by PYTHIA8.* as HepMC"):
        matching.matching({"ickkw": "0", "parton_shower": "PYTHIA8"}, multiplicities, [(-52, 52)])
