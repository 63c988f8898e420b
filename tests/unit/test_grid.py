"""Which points a scan visits."""

from __future__ import annotations

import pytest

from recast_dm.errors import SpecError, UsageError
from recast_dm.reinterpret import grid


class TestAxis:
    @pytest.mark.parametrize(
        ("word", "values"),
        [
            ("x=1:3:1", (1.0, 2.0, 3.0)),
            ("x=1:3.5:1", (1.0, 2.0, 3.0)),
            ("x=0.1:0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5)),
            ("x=5", (5.0,)),
            ("x=3,1,2,1", (1.0, 2.0, 3.0)),
            ("x=7:7:1", (7.0,)),
        ],
    )
    def test_values(self, word, values):
        assert grid.axis(word) == ("x", values)

    @pytest.mark.parametrize(
        "word",
        ["x", "x=", "=1", "x=1:2", "x=1:2:0", "x=2:1:1", "x=1:2:-1", "x=a", "x=nan", "x=1:inf:1", "x=0:1e9:1e-9"],
    )
    def test_words_that_say_no_values(self, word):
        with pytest.raises(UsageError, match="--grid"):
            grid.axis(word)


class TestOfAxes:
    def test_the_last_axis_runs_fastest_and_defaults_are_fixed(self):
        found = grid.of_axes("spin1-axial", ["m_med=1000,2000", "m_dm=1,100"], {"g_q": "0.1"})
        assert [(p["m_med"], p["m_dm"]) for p in found.points] == [(1000, 1), (1000, 100), (2000, 1), (2000, 100)]
        assert dict(found.fixed) == {"g_q": 0.1, "g_dm": 1.0, "g_l": 0.0}
        assert found.refused == ()

    def test_a_point_that_the_model_refuses_is_kept_as_refused(self):
        found = grid.of_axes("spin1-axial", ["m_med=1000", "m_dm=1,499.97"], {})
        assert len(found.points) == 1
        assert found.refused[0].parameters["m_dm"] == 499.97
        assert "Pythia closes the open decay" in found.refused[0].reason
        assert found.axes["m_dm"] == (1.0, 499.97)

    @pytest.mark.parametrize(
        ("axes", "settings", "said"),
        [
            (["m_mde=1,2"], {}, "no parameter 'm_mde'"),
            (["m_med=1000,2000"], {}, "needs m_dm"),
            (["m_med=1000,1e9"], {"m_dm": "1"}, "out of range"),
            (["m_med=1000"], {"m_dm": "x"}, "not a number"),
            (["m_med=1000"], {"m_med": "1", "m_dm": "1"}, "given twice"),
            (["m_med=1000", "m_med=2000"], {"m_dm": "1"}, "given twice"),
            ([], {"m_dm": "1"}, "needs an axis"),
            (["m_med=50:9000:0.1", "m_dm=1:100:0.1"], {}, "the grid has"),
        ],
    )
    def test_what_cannot_be_is_one_error(self, axes, settings, said):
        with pytest.raises(UsageError, match=said):
            grid.of_axes("spin1-axial", axes, settings)


class TestOfFile:
    def test_points_each_once(self, tmp_path):
        file = tmp_path / "points.csv"
        file.write_text("# mine\nm_med, m_dm\n1000,1\n2000,1\n1000,1\n")
        found = grid.of_file("spin1-axial", file, {"g_q": "0.1"})
        assert [p["m_med"] for p in found.points] == [1000, 2000]
        assert found.fixed["g_q"] == 0.1

    def test_a_line_with_too_few_values(self, tmp_path):
        file = tmp_path / "points.csv"
        file.write_text("m_med,m_dm\n1000,1\n2000\n")
        with pytest.raises(SpecError, match=r"points.csv:3:1: 1 values for 2 parameters"):
            grid.of_file("spin1-axial", file, {})

    @pytest.mark.parametrize("content", [b"", b"m_med,m_dm\n", b"\xff\xfe\x00"])
    def test_a_file_without_points(self, tmp_path, content):
        file = tmp_path / "points.csv"
        file.write_bytes(content)
        with pytest.raises(UsageError):
            grid.of_file("spin1-axial", file, {})
