"""What `recast-dm new` writes runs as it is, and its limit is the one that another computation gives."""

from __future__ import annotations

import json
from pathlib import Path

import commanding
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2

from recast_dm.runtimes import Runtime


def recast(*words: str, cwd: Path) -> str:
    done = commanding.recast(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cls(observed: int, background: float, signal: float) -> float:
    """The Poisson distribution's sum is the tail of a chi-squared one."""
    tails = [chi2.sf(2 * mean, 2 * (observed + 1)) for mean in (background + signal, background)]
    return float(tails[0] / tails[1])


def test_the_template_runs_as_it_is(here: Runtime, tmp_path: Path) -> None:
    recast("new", "my-search", cwd=tmp_path)
    assert json.loads(recast("check", "my-search", "--json", cwd=tmp_path))["warnings"] == []
    recast("run", "my-search", "--workdir", "run", "--no-cache", "--quiet", cwd=tmp_path)
    limit = json.loads((tmp_path / "run/limit/0/limit.json").read_text())
    histogram = json.loads((tmp_path / "run/histogram/0/histogram.json").read_text())
    yields = json.loads((tmp_path / "my-search/data/yields.json").read_text())
    selected = [json.loads((tmp_path / f"run/select/{n}/selected.json").read_text()) for n in (0, 1)]
    counts = [sum(column) for column in zip(*(each["counts"] for each in selected), strict=True)]
    assert counts == histogram["counts"]
    signal = sum(counts[2:]) / 40000 * limit["sigma_pb"] * 139e3
    observed, background = sum(yields["observed"][2:]), sum(yields["background"][2:])
    upper = brentq(lambda mu: cls(observed, background, mu * signal) - 0.05, 1e-3, 1e3, xtol=1e-12)
    assert limit["mu_upper_obs"] == pytest.approx(upper, rel=1e-6)
    assert limit["cls_obs"] == pytest.approx(cls(observed, background, signal), rel=1e-6)
    assert 1e-12 < limit["cls_obs"] < 1
    recast("capture", "my-search", "-o", "my-search.capsule", cwd=tmp_path)
    again = json.loads(
        recast(
            *("rerun", "my-search.capsule", "--model", "spin1-axial", "--set", "m_med=2500", "--set", "m_dm=1"),
            *("--workdir", "again", "--no-cache", "--quiet", "--json"),
            cwd=tmp_path,
        )
    )
    assert again["mu_upper_obs"] == limit["mu_upper_obs"]
