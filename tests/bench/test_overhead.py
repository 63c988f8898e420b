"""What the bench does not try, and what its tables say of it."""

import math

from tests.bench import overhead
from tests.bench.runs import Metered


def took(wall: float, expired: bool = False) -> Metered:
    return Metered(wall=wall, own=wall / 2, children=wall / 4, peak_mb=20, expired=expired)


def test_the_next_size_is_expected_to_grow_as_the_last_one_did():
    assert overhead._expected([]) == 0
    assert overhead._expected([took(1), took(2)]) == 0
    assert overhead._expected([took(1), took(2), took(11)]) == 110
    assert overhead._expected([took(1), took(1), took(1)]) == 1


def test_nothing_is_expected_of_what_was_ended_or_not_tried():
    assert overhead._expected([took(1), took(300, expired=True)]) == math.inf
    assert overhead._expected([took(1), took(2), took(300, expired=True)]) == math.inf
    assert overhead._expected([took(1), took(2), took(11), 900.0]) == math.inf


def test_the_tables_say_ratios_to_ours_and_what_was_not_measured(capsys):
    cases = [("fan-out", 1), ("fan-out", 101), ("fan-out", 1000), ("chain", 1), ("chain", 50)]
    ours = dict(zip(cases, (took(2), took(4), took(40), took(2), took(4)), strict=True))
    peer = dict(zip(cases, (took(4), took(8), 600.0, took(4), took(300, expired=True)), strict=True))
    nobody = {("fan-out", 1): took(1), ("fan-out", 101): math.inf}
    overhead.show({"recast-dm": ours, "peer": peer, "nobody": nobody}, cases)
    said = capsys.readouterr().out
    assert "| recast-dm | 1.00 + 0.50 (1) | 2.00 + 1.00 (1) | 20.00 + 10.00 (1) | 2.00 + 1.00 (1) |" in said
    assert "| peer | 2.00 + 1.00 (2) | 4.00 + 2.00 (2) | not tried: about 10 min | > 300 s |" in said
    assert "| nobody | 0.50 + 0.25 (0.5) | not tried |  |  |" in said
    assert "| recast-dm | 10.00 | 19.02 | 20.41 | 20 |" in said  # own milliseconds a step: (2 - 1) / 100 and so on
