"""Samples are merged as integers, then weighed."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from monojet import histogram
from monojet.errors import InputError, StageError
from monojet.files import write_json
from monojet_samples import AXIAL_COUNTS, axial_selections, selection_document


def written(directory, documents):
    paths = []
    for i, document in enumerate(documents):
        paths.append(directory / f"selection{i}.json")
        write_json(paths[-1], document)
    return paths


def test_the_order_of_the_samples_does_not_matter(tmp_path):
    paths = written(tmp_path, axial_selections())
    texts = set()
    for order in itertools.permutations(paths):
        histogram.run(selection_paths=order, lumi_fb=139.0, histogram_path=tmp_path / "histogram.json")
        texts.add((tmp_path / "histogram.json").read_bytes())
    assert len(texts) == 1


def test_samples_that_are_split_hold_the_same_counts():
    random = np.random.default_rng(2)
    whole = selection_document(seed=1)
    first = random.binomial(AXIAL_COUNTS, 0.3)
    halves = [
        selection_document(
            seed=2, counts=first.tolist(), tried=50_000, seen=[9000, 2000, 500, 120], kept=[250, 300, 200, 120]
        ),
        selection_document(
            seed=3,
            counts=(np.array(AXIAL_COUNTS) - first).tolist(),
            tried=150_000,
            seen=[18_000, 3400, 650, 300],
            kept=[750, 700, 800, 300],
        ),
    ]
    one, two = histogram.merge([whole], 139.0), histogram.merge(halves, 139.0)
    same = ("counts", "tried", "seen", "kept", "weights", "yields", "yields_mc_error", "cutflow")
    assert {key: one[key] for key in same} == {key: two[key] for key in same}


def test_yields_are_weights_times_counts():
    """seen/tried is the share of a slice, kept the events that stand for it: sigma L 0.135 / 1000 in the lowest one."""
    found = histogram.merge([selection_document(seed=1)], 139.0)
    assert found["weights"][0] == pytest.approx(0.3526 * 139e3 * 0.135 / 1000)
    assert found["yields"][0] == pytest.approx(found["weights"][0] * 155)
    weights = np.array(found["weights"])
    assert found["yields"][12] == pytest.approx(weights[3] * 140)
    assert found["yields_mc_error"][12] == pytest.approx(weights[3] * np.sqrt(140))
    assert found["yields_mc_error"][3] == pytest.approx(np.hypot(weights[0] * np.sqrt(65), weights[1] * np.sqrt(45)))
    assert sum(found["yields"]) == pytest.approx(found["acceptance_times_efficiency"] * 0.3526 * 139e3)
    assert all(isinstance(n, int) for row in found["counts"] for n in row)


def test_more_samples_give_the_same_yields_and_a_smaller_error():
    one, four = (histogram.merge([selection_document(seed=s) for s in range(n)], 139.0) for n in (1, 4))
    assert four["yields"] == pytest.approx(one["yields"])
    assert np.array(four["yields_mc_error"]) == pytest.approx(np.array(one["yields_mc_error"]) / 2)
    assert four["sigma_pb_mc_error"] == pytest.approx(one["sigma_pb_mc_error"] / 2)


def test_an_empty_slice_has_no_weight():
    counts = [*AXIAL_COUNTS[:3], [0] * 13]
    found = histogram.merge(
        [selection_document(seed=1, counts=counts, seen=[27_000, 5400, 1150, 0], kept=[1000, 1000, 1000, 0])], 139.0
    )
    assert found["weights"][3] == 0.0
    assert np.isfinite(found["yields"]).all()


def test_the_same_seed_twice_is_the_same_events():
    with pytest.raises(InputError, match="same seed"):
        histogram.merge([selection_document(seed=1), selection_document(seed=1)], 139.0)


def test_samples_cut_in_other_slices_are_refused():
    with pytest.raises(InputError, match="slice_edges_gev"):
        histogram.merge([selection_document(seed=1), selection_document(seed=2, slice_edges_gev=[150.0])], 139.0)


def test_no_selected_event_is_an_error_and_writes_nothing(tmp_path):
    paths = written(tmp_path, [selection_document(seed=1, counts=[[0] * 13] * 4)])
    with pytest.raises(StageError, match="none of 3420 generated events passes"):
        histogram.run(selection_paths=paths, lumi_fb=139.0, histogram_path=tmp_path / "histogram.json")
    assert not (tmp_path / "histogram.json").exists()


def test_another_kind_of_document_is_refused(tmp_path):
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"schema": "monojet/generation/1"}))
    with pytest.raises(InputError, match="not a monojet/selection/1 document"):
        histogram.run(selection_paths=[path], lumi_fb=139.0, histogram_path=tmp_path / "histogram.json")
