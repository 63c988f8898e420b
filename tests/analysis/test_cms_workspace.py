"""The likelihood of 66 bins: a pyhf workspace that holds the published covariance."""

import numpy as np
import pyhf
import pytest
from cms_samples import DATA, background_only, bins, covariance
from cmsmonojet import search, workspace
from cmsmonojet.search import NAMES
from monojet.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")


def test_the_shifts_of_the_workspace_are_the_published_covariance():
    channels = background_only()["channels"]
    samples = [channel["samples"][0] for channel in channels]
    rows = []
    for k in range(66):
        modifiers = [sample["modifiers"][k] for sample in samples]
        assert {m["name"] for m in modifiers} == {f"background_{k:02d}"}, "one parameter moves all years"
        rows.append(np.concatenate([np.subtract(m["data"]["hi_data"], m["data"]["lo_data"]) / 2 for m in modifiers]))
    assert np.array(rows).T @ np.array(rows) == pytest.approx(covariance(), rel=1e-6)


def test_pyhf_reads_it_and_expects_the_published_background():
    spec = pyhf.Workspace(background_only())
    model = spec.model(poi_name=None)
    expected = model.expected_actualdata(model.config.suggested_init())
    assert list(expected) == pytest.approx(bins().background)
    assert spec.data(model, include_auxdata=False) == pytest.approx(bins().observed)


def test_channels_are_the_years_in_order():
    assert [channel["name"] for channel in background_only()["channels"]] == [
        "monojet_2016",
        "monojet_2017",
        "monojet_2018",
    ]
    assert background_only()["observations"][2]["data"][-1] == 70.0


def test_the_largest_shift_comes_first_and_its_sign_is_fixed():
    rows = workspace.shifts(covariance())
    lengths = np.square(rows).sum(axis=1)
    assert (np.diff(lengths) <= 0).all()
    assert (rows[np.arange(66), np.abs(rows).argmax(axis=1)] > 0).all()


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [([[1.0, 2.0], [2.0, 1.0]], "positive definite"), ([[1.0, 0.5], [0.4, 1.0]], "symmetric")],
)
def test_what_is_no_covariance_is_refused(matrix, reason):
    with pytest.raises(InputError, match=reason):
        workspace.shifts(np.array(matrix))


def test_a_covariance_of_other_bins_is_refused(tmp_path):
    path = tmp_path / "covariance.csv"
    path.write_text((DATA / "covariance_66x66.csv").read_text().replace("SR_2016_1,", "SR_2016_0,", 1))
    with pytest.raises(InputError, match="66 bins in their order"):
        workspace.read_covariance(path)
    with pytest.raises(InputError, match="cannot read"):
        workspace.read_covariance(tmp_path / "none.csv")


def test_the_bins_are_the_published_ones():
    assert bins().names == NAMES
    assert bins().lumi_fb == 137.0
    assert sum(bins().share) == pytest.approx(1)
    assert bins().share[2] == pytest.approx(59.7 / 137.5)
    assert (bins().observed[0], bins().background[0]) == (136865.0, 135004.8633)


def test_bins_in_another_order_are_refused(tmp_path):
    path = tmp_path / "bins.yaml"
    path.write_text((DATA / "bins.yaml").read_text().replace("SR_2017_3", "SR_2018_3", 1))
    with pytest.raises(InputError, match="66 bins"):
        search.read(path)
    path.write_text("bins: none\n")
    with pytest.raises(InputError, match="cannot read"):
        search.read(path)
