"""What steps publish: every publisher, wildcards, hidden files, directories, and files found by name."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import LATE, plan, quick, stage

from recast_dm.engine import publishers
from recast_dm.engine.publishers import NO_FILES, Files
from recast_dm.errors import SpecError
from recast_dm.model import Dir, Path, Step, StepId

OWN = Dir(StepId("one"))
FILES = Files(frozenset({"a.txt", "b.txt", "c.root", "d/e.txt", "d/f/g.txt", ".h.txt", ".i/j.txt", "d/.k.txt"}))


def made(publisher: dict, **parameters: object) -> Step:
    return plan(stage("one", "true", parameters, None, publisher=publisher))["one/0"]


def own(name: str) -> Path:
    return Path((OWN, f"/{name}"))


class TestForgedPaths:
    """Paths go through jq as texts that a program can write itself: only those that came from the value are paths."""

    def published(self, script: str, **parameters: object) -> object:
        publisher = {"publisher_type": "fromparjq-pub", "script": script}
        return publishers.publish(made(publisher, **parameters), FILES)

    @pytest.mark.parametrize("step", ["init/0", "other/0", "one/1", "scan/0/fit/0", "", "/"])
    def test_made_up_ones_stay_texts(self, step):
        text = f"/\ue000{step}\ue001/x"
        assert self.published(f'{{o: "{text}"}}', n=1) == {"o": text}
        assert self.published(f'{{o: "{text}", p: .p}}', p="{workdir}/a.txt") == {"o": text, "p": own("a.txt")}

    def test_real_ones_may_be_changed(self):
        assert self.published('{o: (.p + ".gz")}', p="{workdir}/a.txt") == {"o": own("a.txt.gz")}

    def test_real_and_made_up_ones_in_one_text(self):
        token = "/\ue000other/0\ue001"
        found = self.published(f'{{o: (.p + "{token}")}}', p="{workdir}/a.txt")
        assert not isinstance(found["o"], Path)


class TestFiles:
    @pytest.mark.parametrize(
        "name", ["a.txt", "d", "d/", "d/f", "d/f/g.txt", "./a.txt", "d//e.txt", "", ".", "d/../a.txt"]
    )
    def test_they_hold(self, name):
        assert FILES.hold(name)

    @pytest.mark.parametrize("name", ["a.txt/", "a", "d/x", "..", "../a.txt", "/a.txt", "d/f/g", "*"])
    def test_they_do_not_hold(self, name):
        assert not FILES.hold(name)

    @pytest.mark.parametrize(
        ("pattern", "names"),
        [
            ("*.txt", ["a.txt", "b.txt"]),
            ("*", ["a.txt", "b.txt", "c.root", "d"]),
            ("**/*.txt", ["a.txt", "b.txt", "d/e.txt", "d/f/g.txt"]),
            ("**", ["a.txt", "b.txt", "c.root", "d", "d/e.txt", "d/f", "d/f/g.txt"]),
            ("d/**/*.txt", ["d/e.txt", "d/f/g.txt"]),
            ("d/**/g.txt", ["d/f/g.txt"]),
            (".*", [".h.txt", ".i"]),
            (".i/*", [".i/j.txt"]),
            ("*/.*", ["d/.k.txt"]),
            ("[ab].txt", ["a.txt", "b.txt"]),
            ("[!a].txt", ["b.txt"]),
            ("?.root", ["c.root"]),
            ("d/*", ["d/e.txt", "d/f"]),
            ("./*.txt", ["a.txt", "b.txt"]),
            ("d//*", ["d/e.txt", "d/f"]),
            ("d/../*.txt", ["a.txt", "b.txt"]),
            ("../*", []),
            ("x*", []),
            ("", []),
        ],
    )
    def test_wildcards(self, pattern, names):
        assert FILES.match(pattern) == names

    @given(st.sets(st.from_regex(r"[ab.]{1,3}(/[ab.]{1,3}){0,2}", fullmatch=True), max_size=6))
    def test_wildcards_find_what_pythons_glob_finds(self, tmp_path_factory, names):
        names = {n for n in names if not {".", "..", "..."} & set(n.split("/"))}
        names = {n for n in names if not any(m != n and m.startswith(f"{n}/") for m in names)}
        root = tmp_path_factory.mktemp("glob")
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
        import glob

        files = Files(frozenset(names))
        for pattern in ("*", "a*", "**/a", "**/*", "*/*", ".*", "a/**/b", "?/.*", "[a]*"):
            found = {found.rstrip("/") for found in glob.glob(pattern, root_dir=root, recursive=True)} - {""}  # noqa: PTH207  # the standard that upstream uses
            assert set(files.match(pattern)) == found, pattern


class TestFromParJq:
    def publisher(self, **more: object) -> dict:
        return {"publisher_type": "fromparjq-pub", **more}

    def test_without_a_script_the_parameters(self):
        step = made(self.publisher(), a=1.0, b={"c": [2]})
        assert publishers.publish(step, NO_FILES) == {"a": 1, "b": {"c": (2,)}}

    def test_what_the_program_makes(self):
        step = made(self.publisher(script="{x: (.a + 1), f: .f}"), a=1, f="{workdir}/f")
        assert publishers.prepublish(step) == {"x": 2, "f": own("f")}

    @pytest.mark.parametrize(
        ("options", "text", "found"),
        [
            ({"relative_paths": True}, "a.txt", own("a.txt")),
            ({"relative_paths": True}, "d", own("d")),
            ({"relative_paths": True}, "x.txt", "x.txt"),
            ({"relative_paths": True, "tryExact": False}, "a.txt", "a.txt"),
            ({}, "a.txt", "a.txt"),
            ({"relative_paths": True, "glob": True}, "*.txt", (own("a.txt"), own("b.txt"))),
            ({"relative_paths": True, "glob": True}, "x*", "x*"),
            ({"glob": True}, "{workdir}/*.root", (own("c.root"),)),
            ({"glob": True}, "{workdir}/a.txt", own("a.txt")),
            ({}, "{workdir}/*.root", own("*.root")),
            ({"glob": True}, "/etc/*", "/etc/*"),
        ],
    )
    def test_names_of_files(self, options, text, found):
        step = made(self.publisher(**options), v=text)
        assert publishers.publish(step, FILES) == {"v": found}

    @pytest.mark.parametrize(
        ("options", "text", "early"),
        [
            ({}, "a", True),
            ({"relative_paths": True}, "a", False),
            ({"relative_paths": True}, "/a", True),
            ({"relative_paths": True, "tryExact": False}, "a", True),
            ({"glob": True}, "a", False),
        ],
    )
    def test_it_is_known_before_it_runs_only_where_no_file_matters(self, options, text, early):
        assert (publishers.prepublish(made(self.publisher(**options), v=text)) is not None) is early

    def test_a_program_that_fails(self):
        with pytest.raises(SpecError, match=r"the jq program '\.a\.b' fails: Cannot index number"):
            made(self.publisher(script=".a.b"), a=1)


class TestFromGlob:
    def test_a_sorted_list(self):
        step = made({"publisher_type": "fromglob-pub", "globexpression": "**/*.txt", "outputkey": "k"})
        assert publishers.prepublish(step) is None
        names = ("a.txt", "b.txt", "d/e.txt", "d/f/g.txt")
        assert publishers.publish(step, FILES) == {"k": tuple(own(name) for name in names)}

    def test_nothing_found_is_an_empty_list(self):
        step = made({"publisher_type": "fromglob-pub", "globexpression": "*.x", "outputkey": "k"})
        assert publishers.publish(step, FILES) == {"k": ()}


class TestSaid:
    def test_what_a_file_says_is_published(self):
        step = made(LATE)
        assert publishers.prepublish(step) is None
        assert publishers.publish(step, FILES, {"a": (1, "b64json://WzFd")}) == {"a": (1, (1,))}


class TestInterpolated:
    def published(self, publish: object, files: Files = FILES, **parameters: object) -> object:
        glob = parameters.pop("glob", False)
        relative = parameters.pop("relative_paths", False)
        publisher = {
            "publisher_type": "interpolated-pub",
            "publish": publish,
            "glob": glob,
            "relative_paths": relative,
        }
        return publishers.publish(made(publisher, **parameters), files)

    @pytest.mark.parametrize(
        ("text", "parameters", "found"),
        [
            ("{n:04d}.txt", {"n": 5}, "0005.txt"),
            ("{m[a][1]}", {"m": {"a": [1, 2]}}, "2"),
            ("{x!r}", {"x": "a"}, "'a'"),
            ("{{x}} {x}", {"x": 1}, "{x} 1"),
            ("{x}", {"x": [1, "a"]}, "[1, 'a']"),
            ("{workdir}/{n}", {"n": 1}, own("1")),
            ("{f}.gz", {"f": "{workdir}/x"}, own("x.gz")),
            ("{x}", {"x": None}, "None"),
            ("{x}", {"x": "{workdir}"}, Path((OWN,))),
        ],
    )
    def test_by_pythons_rules(self, text, parameters, found):
        assert self.published({"o": text}, **parameters) == {"o": found}

    def test_a_value_from_data_is_not_formatted_again(self):
        steps = plan(
            stage(
                "one",
                "true",
                {"x": {"step": "init", "output": "x"}},
                None,
                publisher={"publisher_type": "interpolated-pub", "publish": {"o": "{x}"}},
            ),
            x="{y} {{z}}",
        )
        assert publishers.publish(steps["one/0"], NO_FILES) == {"o": "{y} {{z}}"}

    @pytest.mark.parametrize(
        ("text", "parameters", "message"),
        [
            ("{x:d}", {"x": "a"}, "cannot format {x}"),
            ("{x[b]}", {"x": {"a": 1}}, "there is no 'b'"),
            ("{x.real}", {"x": 1}, "is not a placeholder"),
            ("{x.__class__}", {"x": 1}, "is not a placeholder"),
            ("{x}", {"x": ["{workdir}"]}, "which holds paths"),
            ("{x:>9}", {"x": "{workdir}/a"}, "which holds paths"),
        ],
    )
    def test_what_cannot_be(self, text, parameters, message):
        with pytest.raises(SpecError) as caught:
            self.published({"o": text}, **parameters)
        assert message in caught.value.message

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("*.root", (own("c.root"),)),
            ("{workdir}/**/*.txt", (own("a.txt"), own("b.txt"), own("d/e.txt"), own("d/f/g.txt"))),
            ("*.none", own("*.none")),
            ("/etc/*", "/etc/*"),
        ],
    )
    def test_wildcards_and_relative_names(self, text, found):
        assert self.published({"o": text}, glob=True, relative_paths=True) == {"o": found}

    def test_without_a_mapping(self):
        assert self.published(["{workdir}/a", 5, None]) == (own("a"), 5, None)


def test_frompar_takes_texts_that_are_names():
    step = made({"publisher_type": "frompar-pub", "outputmap": {"o": {"deep": ["p"]}}}, p=(1, {"a": "{workdir}/x"}))
    assert publishers.prepublish(step) == {"o": {"deep": ((1, {"a": own("x")}),)}}


def test_base64_in_constants_is_what_it_stands_for():
    step = made({"publisher_type": "constant-pub", "publish": {"v": "b64json://WzFd"}})
    assert publishers.prepublish(step) == {"v": (1,)}


def test_a_step_that_starts_nothing_only_says_names():
    step = plan(quick("one", {"o": "{workdir}/never"}))["one/0"]
    publishers.check_published(step, publishers.publish(step, NO_FILES), NO_FILES)


def test_wildcards_take_time_by_their_length_only():
    """Eleven segments each way took more than a minute when `**` was tried out in every way."""
    deep = "/".join("d" * 12)
    began = time.monotonic()
    assert publishers.Files(frozenset({deep})).match("**/" * 20 + "x") == []
    assert publishers.Files(frozenset({f"{deep}/x"})).match("**/" * 20 + "x") == [f"{deep}/x"]
    assert time.monotonic() - began < 10


@given(st.lists(st.sampled_from(["a", "b", ".h", "ab"]), min_size=1, max_size=4), st.data())
def test_wildcards_match_as_tried_out_in_every_way(names, data):
    patterns = data.draw(st.lists(st.sampled_from(["**", "*", "a", "a*", ".*", "?"]), min_size=1, max_size=4))

    def fits(names, patterns):
        if not patterns:
            return not names
        if patterns[0] == "**":
            return fits(names, patterns[1:]) or (
                bool(names) and not names[0].startswith(".") and fits(names[1:], patterns)
            )
        return (
            bool(names)
            and fnmatch.fnmatchcase(names[0], patterns[0])
            and (patterns[0].startswith(".") or not names[0].startswith("."))
            and fits(names[1:], patterns[1:])
        )

    name = "/".join(names)
    assert (name in publishers.Files(frozenset({name})).match("/".join(patterns))) == fits(names, patterns)
