"""The catalogue: what words mean, what is known of it, and in which state it is."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from preserving import capture
from workbench import TOY_IMAGE

from recast_dm import schemas
from recast_dm.capsule import packing
from recast_dm.capsule.catalogue import checking, entries, listing, places
from recast_dm.capsule.catalogue.about import About, about, details
from recast_dm.errors import IntegrityError, RecastError, StorageError, UsageError
from recast_dm.images.fake import FakeSource
from recast_dm.spec import remote

ENTRY = """\
name: examples/rome
metadata: {author: Ada, short_description: An example}
spec: {toplevel: 'github:org/repo@v1', workflow: workflow.yml}
example_inputs: {default: {initdata: {did: 1}}}
results: [{name: limit, relpath: fit/limit.json}]
"""
LOCAL = ENTRY.replace("spec: {toplevel: 'github:org/repo@v1', ", "spec: {").replace("examples/rome", "local")
FLOW = """\
stages:
- name: hello
  scheduler:
    scheduler_type: singlestep-stage
    parameters: {}
    step:
      process: {process_type: string-interpolated-cmd, cmd: 'true'}
      publisher: {publisher_type: constant-pub, publish: {}}
      environment: {environment_type: docker-encapsulated, image: busybox, imagetag: '1'}
"""


@pytest.fixture
def capsule(toy_capsule) -> Path:
    return toy_capsule.path


@pytest.fixture
def another(toy_directory, tmp_path):
    """Captures the toy analysis under another title."""

    def another(place: Path, title: str) -> Path:
        source = tmp_path / f"source of {title}"
        shutil.copytree(toy_directory, source)
        manifest = source / "recast.yml"
        manifest.write_text(manifest.read_text().replace("Toy counting experiment", title))
        example = {"m_med": 1.0, "m_dm": 1.0}
        return capture(source, place, FakeSource([TOY_IMAGE]), tmp_path / "images", example).path

    return another


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "config" / "catalogue.json"


def write(place: Path, content: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(content)
    return place


def entered(file: Path, *words: object, fetch: remote.Fetch | None = None) -> list[str]:
    return entries.add(file, [each for word in words for each in places.expand(str(word), fetch)])


def known(file: Path, *recast: Path) -> list[listing.Listed]:
    return listing.listed(entries.load(file), recast)


def states(file: Path, *recast: Path) -> dict[str, str]:
    return {each.about.name: each.best.state for each in known(file, *recast)}


def checked(file: Path) -> None:
    for each in known(file):
        for place in each.places:
            outcome = checking.check(place.place)
            if outcome.check:
                entries.record(file, place.place, outcome.check, outcome.about)


def server_of(files: Mapping[str, str | bytes]) -> remote.Fetch:
    def fetch(url: str, *, limit: int = 0) -> bytes:
        if url not in files:
            raise remote.Missing(f"{url} does not exist")
        content = files[url]
        return content if isinstance(content, bytes) else content.encode()

    return fetch


# --- what is there -------------------------------------------------------------------------------------------


class TestAbout:
    def test_a_capsule_in_every_form(self, capsule, tmp_path):
        said = about(capsule)
        assert (said.kind, said.name, said.title) == ("capsule", "toy", "Toy counting experiment")
        assert said.formats == ("efficiency-map",)
        assert said.digest == packing.read_manifest(capsule)["digest"]
        assert said.size == sum(path.stat().st_size for path in capsule.rglob("*") if path.is_file())
        for form in ("zip", "tar"):
            packed = tmp_path / f"toy.capsule.{form}"
            packing.pack(capsule, packed)
            there = about(packed)
            assert there.size == packed.stat().st_size
            assert there.digest == said.digest
            assert details(packed) == details(capsule)

    def test_everything_it_says(self, capsule, toy_directory):
        told = details(capsule)
        assert told.authors == ("The recast-dm developers",)
        assert told.stages == ("count", "limit")
        assert [image["reference"] for image in told.images] == ["recast-dm/toy:1.0"]
        assert told.images[0]["layers"] == 1
        assert told.results == {"limit": "limit/limit.json"}
        assert told.signal == {
            "format": "efficiency-map",
            "init": {"m_med": "parameters.m_med", "m_dm": "parameters.m_dm"},
        }
        assert told.closure[0]["quantity"] == "mu_upper_obs"
        own = details(toy_directory)
        assert (own.stages, own.results, own.closure) == (told.stages, told.results, told.closure)
        assert own.images[0]["layers"] is None

    def test_an_entry(self, tmp_path):
        rome = write(tmp_path / "rome.yml", ENTRY)
        said = about(rome)
        assert (said.kind, said.name, said.title) == ("recast-entry", "examples/rome", "An example")
        told = details(rome)
        assert (told.authors, told.stages, told.on_server) == (("Ada",), None, True)
        write(tmp_path / "specs/workflow.yml", FLOW)  # where RECAST looks when an entry names no toplevel
        told = details(write(tmp_path / "local.yml", LOCAL))
        assert (told.stages, told.on_server) == (("hello",), False)
        assert [image["reference"] for image in told.images] == ["busybox:1"]

    def test_a_workflow_that_cannot_be_read_is_said(self, tmp_path):
        told = details(write(tmp_path / "local.yml", LOCAL))
        assert told.stages is None
        assert "its workflow cannot be read" in told.notes[0]

    @pytest.mark.parametrize(
        "content", ["[]", "name: x", "name: ''\nspec: {}", "name: x\nspec: 1", "name: [1]\nspec: {}"]
    )
    def test_what_is_no_entry(self, tmp_path, content):
        with pytest.raises(UsageError, match=r"no recast\.yml"):
            about(write(tmp_path / "x.yml", content))

    def test_odd_values_are_not_fatal(self, tmp_path):
        odd = "name: x\nspec: {workflow: w}\nmetadata: [1]\nsignal: 1\nresults: {a: 1}\nclosure: [1]\nexample_inputs: 3"
        place = write(tmp_path / "x.yml", odd)
        assert about(place).title == ""
        assert details(place).results == {}


# --- what words mean -----------------------------------------------------------------------------------------


class TestPlaces:
    def test_one_thing(self, capsule, toy_directory):
        assert [each.place for each in places.expand(str(capsule))] == [str(capsule)]
        assert [each.place for each in places.expand(str(toy_directory))] == [str(toy_directory)]
        assert [each.place for each in places.expand(str(toy_directory / "recast.yml"))] == [str(toy_directory)]

    def test_a_directory_of_them(self, capsule, toy_directory, tmp_path):
        packing.pack(capsule, tmp_path / "packed.capsule.zip")
        shutil.copytree(toy_directory, tmp_path / "analysis")
        write(tmp_path / "rome.yml", ENTRY)
        write(tmp_path / "deep/other.yml", ENTRY.replace("rome", "deep"))
        write(tmp_path / "index.yml", "name: i\ntags: [t]\nrecast_catalogue_entries: [deep/other.yml]")
        write(tmp_path / "notes.yml", "just: notes")
        write(tmp_path / "broken.yml", "a: [")
        write(tmp_path / "broken.capsule/capsule.json", "{")
        write(tmp_path / ".hidden.yml", ENTRY)
        write(tmp_path / "README", "no")
        found = {Path(each.place).name: each for each in places.expand(str(tmp_path))}
        assert list(found) == [
            *("analysis", "broken.capsule", "broken.yml", "other.yml"),
            *("packed.capsule.zip", "rome.yml", "toy.capsule"),
        ]
        assert found["other.yml"].about.name == "examples/deep"
        assert "is not JSON" in found["broken.capsule"].reason
        assert "not valid YAML" in found["broken.yml"].reason

    def test_a_list(self, capsule, toy_directory, tmp_path):
        entries = json.dumps(["../toy.capsule", str(toy_directory), "https://example.org/x.capsule.tar", "none"])
        listed = write(tmp_path / "lists/list.yml", f"recast_catalogue_entries: {entries}")
        found = places.expand(str(listed))
        assert [each.place for each in found[:3]] == [
            *(str(capsule), str(toy_directory)),
            "https://example.org/x.capsule.tar",
        ]
        assert found[3].about is None
        assert "neither a capsule nor an analysis" in found[3].reason

    def test_lists_in_a_circle_end(self, tmp_path):
        listed = write(tmp_path / "list.yml", "recast_catalogue_entries: [list.yml, list.yml]")
        with pytest.raises(UsageError, match="more than 4 lists of lists"):
            places.expand(str(listed))

    @pytest.mark.parametrize("entries", ["1", "[1]", "{a: b}", "[" + "x, " * 10_001 + "]"])
    def test_lists_of_something_else(self, tmp_path, entries):
        with pytest.raises(UsageError):
            places.expand(str(write(tmp_path / "list.yml", f"recast_catalogue_entries: {entries}")))

    @pytest.mark.parametrize(
        ("word", "message"),
        [
            ("none", "does not exist"),
            ("empty", "holds nothing for a catalogue"),
            ("http://example.org/x.capsule.zip", "no https address"),
            ("https://ada:secret@example.org/x", "holds a user's name"),
            ("https://", "no https address"),
            ("https://[", "is not an address"),
        ],
    )
    def test_what_nothing_can_be(self, tmp_path, monkeypatch, word, message):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match=message) as caught:
            places.expand(word)
        assert "secret" not in str(caught.value)

    def test_one_broken_thing_is_its_own_error(self, tmp_path):
        with pytest.raises(IntegrityError, match="is not JSON"):
            places.expand(str(write(tmp_path / "x.capsule/capsule.json", "{").parent))


class TestServers:
    BASE = "https://example.org/c/"

    def test_nothing_is_fetched_unasked(self):
        assert places.expand(f"{self.BASE}list.yml") == [places.Found(f"{self.BASE}list.yml", None)]

    def test_a_list_an_entry_and_a_capsule(self, capsule):
        manifest = (capsule / "capsule.json").read_bytes()
        fetch = server_of(
            {
                f"{self.BASE}list.yml": "recast_catalogue_entries: [toy.capsule, rome.yml, big.capsule.zip]",
                f"{self.BASE}toy.capsule/capsule.json": manifest,
                f"{self.BASE}rome.yml": ENTRY,
            }
        )
        found = places.expand(f"{self.BASE}list.yml", fetch)
        assert [each.place.removeprefix(self.BASE) for each in found] == ["toy.capsule", "rome.yml", "big.capsule.zip"]
        assert found[0].about.digest == json.loads(manifest)["digest"]
        assert (found[1].about.kind, found[1].about.name) == ("recast-entry", "examples/rome")
        assert found[2].about is None  # a capsule may have gigabytes: it is not fetched to be listed

    @pytest.mark.parametrize(
        "entry", ["http://example.org/x", "file:///etc/passwd", "//ada@example.org/x", "ftp://h/x"]
    )
    def test_a_list_names_https_only(self, entry):
        fetch = server_of({f"{self.BASE}list.yml": f"recast_catalogue_entries: ['{entry}']"})
        with pytest.raises(UsageError):
            places.expand(f"{self.BASE}list.yml", fetch)

    @pytest.mark.parametrize("content", ["{", "[]", '{"schema": "other"}'])
    def test_what_a_server_says_is_checked(self, content):
        with pytest.raises((UsageError, IntegrityError)):
            places.expand(f"{self.BASE}x.capsule", server_of({f"{self.BASE}x.capsule/capsule.json": content}))

    def test_it_is_listed_with_what_it_said(self, file, capsule, tmp_path):
        fetch = server_of({f"{self.BASE}toy.capsule/capsule.json": (capsule / "capsule.json").read_bytes()})
        entered(file, f"{self.BASE}toy.capsule", fetch=fetch)
        assert states(file) == {"toy": "remote"}
        with pytest.raises(UsageError, match="lies on a server"):
            listing.resolve(known(file), "toy")
        entered(file, capsule)  # the same capsule, here
        (thing,) = known(file)
        assert [place.state for place in thing.places] == ["unverified", "remote"]
        assert listing.resolve(known(file), "toy") == capsule


# --- states --------------------------------------------------------------------------------------------------


class TestStates:
    def test_from_added_to_forgotten(self, file, capsule):
        assert known(file) == []
        assert entered(file, capsule) == [str(capsule)]
        assert entered(file, capsule) == []
        assert states(file) == {"toy": "unverified"}
        checked(file)
        assert states(file) == {"toy": "ok"}
        assert schemas.problem("catalogue-1", json.loads(file.read_bytes())) is None
        shutil.move(capsule, capsule.with_name("away"))
        assert states(file) == {"toy": "missing"}
        with pytest.raises(UsageError, match="is no longer at"):
            listing.resolve(known(file), "toy")
        shutil.move(capsule.with_name("away"), capsule)
        assert states(file) == {"toy": "ok"}
        (thing,) = known(file)
        entries.remove(file, listing.own_places(thing, "toy"))
        assert known(file) == []
        assert capsule.is_dir()

    @pytest.mark.parametrize("form", ["directory", "zip"])
    def test_a_changed_byte_is_found_by_the_check(self, file, capsule, tmp_path, form):
        program = capsule / "data/analysis/data/toy.py"
        program.chmod(0o644)
        if form == "directory":
            place = capsule
            program.write_bytes(program.read_bytes() + b"#")
        else:
            place = tmp_path / "x.zip"
            program.write_bytes(program.read_bytes() + b"#")
            packing.pack(capsule, place)
        entered(file, place)
        assert states(file) == {"toy": "unverified"}
        checked(file)
        (thing,) = known(file)
        assert thing.best.state == "invalid"
        assert "toy.py" in thing.best.reason
        program.write_bytes(program.read_bytes()[:-1])
        if form == "zip":
            packing.pack(capsule, place)
        checked(file)
        assert states(file) == {"toy": "ok"}

    def test_another_capsule_in_its_place(self, file, capsule, another):
        entered(file, capsule)
        shutil.rmtree(capsule)
        another(capsule, "Another")
        (thing,) = known(file)
        assert (thing.best.state, thing.best.reason) == ("changed", "it is not what was added")
        checked(file)
        assert states(file) == {"toy": "ok"}
        shutil.rmtree(capsule)
        another(capsule, "A third")
        (thing,) = known(file)
        assert (thing.best.state, thing.best.reason) == ("changed", "it is not what was checked last")

    def test_what_is_broken_is_listed_with_the_reason(self, file, capsule):
        entered(file, capsule)
        (capsule / "capsule.json").write_text("{")
        (thing,) = known(file)
        assert (thing.about.name, thing.best.state) == ("toy", "invalid")  # it was known before
        assert "is not JSON" in thing.best.reason

    def test_one_capsule_at_several_places(self, file, capsule, tmp_path):
        packing.pack(capsule, tmp_path / "a.zip")
        shutil.copytree(capsule, tmp_path / "b.capsule")
        entered(file, tmp_path / "a.zip", tmp_path / "b.capsule", capsule)
        (tmp_path / "a.zip").unlink()
        (thing,) = known(file)
        assert [(Path(p.place).name, p.state) for p in thing.places] == [
            *(("b.capsule", "unverified"), ("toy.capsule", "unverified")),
            ("a.zip", "missing"),
        ]
        assert listing.own_places(thing, str(capsule)) == [str(capsule)]
        assert len(listing.own_places(thing, "toy")) == 3

    def test_an_analysis(self, file, toy_directory, tmp_path):
        place = tmp_path / "toy"
        shutil.copytree(toy_directory, place)
        entered(file, place)
        checked(file)
        assert states(file) == {"toy": "ok"}
        (place / "recast.yml").write_text((place / "recast.yml").read_text().replace("seeds: [1, 2]", "seeds: [3]"))
        assert states(file) == {"toy": "changed"}
        (place / "steps.yml").write_text("count: {")
        checked(file)
        (thing,) = known(file)
        assert thing.best.state == "invalid"
        assert "steps.yml:" in thing.best.reason

    def test_a_workflow_on_a_server_is_not_checked_unasked(self, tmp_path):
        place = str(write(tmp_path / "rome.yml", ENTRY))
        outcome = checking.check(place)
        assert (outcome.check, "--allow-remote" in outcome.skipped) == (None, True)
        base = "https://raw.githubusercontent.com/org/repo/v1/workflow.yml"
        assert checking.check(place, server_of({base: FLOW})).check.ok
        assert not checking.check(place, server_of({base: "stages: 1"})).check.ok
        unreached = checking.check(place, server_of({}))
        assert (unreached.check, "does not exist" in unreached.skipped) == (None, True)

    def test_directories_of_recasts_own_catalogue(self, file, capsule, tmp_path):
        directory = tmp_path / "theirs"
        write(directory / "rome.yml", ENTRY)
        write(directory / "broken.yml", "name: [")
        assert states(file, directory, tmp_path / "none") == {
            "examples/rome": "unverified",
            "broken": "invalid",
            "none": "missing",
        }
        thing = listing.find(known(file, directory), "examples/rome")
        with pytest.raises(UsageError, match="stands in a directory of RECAST_ATLAS_CATALOGUE"):
            listing.own_places(thing, "examples/rome")
        entered(file, directory / "rome.yml")
        assert len(known(file, directory)) == 2
        assert listing.find(known(file, directory), "examples/rome").best.own


# --- by name -------------------------------------------------------------------------------------------------


class TestFind:
    def test_by_name_digest_and_place(self, file, capsule, monkeypatch):
        entered(file, capsule)
        digest = about(capsule).digest
        monkeypatch.chdir(capsule.parent)
        for word in ("toy", digest, f"sha256:{digest}", digest[:8], str(capsule), "toy.capsule"):
            assert listing.resolve(known(file), word) == capsule
        for word in ("toys", digest[:7], ""):
            with pytest.raises(UsageError, match="the catalogue knows no"):
                listing.resolve(known(file), word)
        with pytest.raises(UsageError) as caught:
            listing.resolve(known(file), "tooy")
        assert caught.value.hint == "did you mean 'toy'?"

    def test_a_capsule_rather_than_its_analysis(self, file, capsule, toy_directory):
        entered(file, toy_directory, capsule)
        assert len(known(file)) == 2
        assert listing.resolve(known(file), "toy") == capsule
        shutil.rmtree(capsule)
        assert listing.resolve(known(file), "toy") == toy_directory

    def test_two_capsules_of_one_name(self, file, capsule, another, tmp_path):
        other = another(tmp_path / "other.capsule", "Other")
        entered(file, capsule, other)
        with pytest.raises(UsageError, match="'toy' names 2 things") as caught:
            listing.resolve(known(file), "toy")
        assert str(other) in str(caught.value)
        assert listing.resolve(known(file), about(other).digest[:12]) == other

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ([], True),
            (["TOY"], True),
            (["counting", "efficiency"], True),
            (["toy", "hepmc"], False),
            (["capsule"], True),
        ],
    )
    def test_words(self, file, capsule, words, expected):
        entered(file, capsule)
        assert listing.matches(known(file)[0], words) is expected


# --- the file ------------------------------------------------------------------------------------------------


def add_many(file: Path, number: int) -> None:
    for n in range(10):
        place = f"https://example.org/{number}/{n}.capsule.zip"
        entries.add(file, [places.Found(place, About(kind="unknown", name=f"{number}-{n}"))])


class TestFile:
    def test_adders_at_the_same_time(self, file):
        """Four processes, ten changes each: none is lost."""
        context = multiprocessing.get_context("spawn")
        workers = [context.Process(target=add_many, args=(file, number)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.exitcode for worker in workers] == [0] * 4
        assert len(entries.load(file).entries) == 40

    @pytest.mark.parametrize(
        "content", ["{", "[]", "{}", '{"schema": "recast-dm/catalogue/2"}', '{"schema": "recast-dm/catalogue/1"}']
    )
    def test_a_damaged_file_is_never_overwritten(self, file, capsule, content):
        write(file, content)
        with pytest.raises(IntegrityError):
            entered(file, capsule)
        assert file.read_text() == content

    def test_a_change_that_fails_changes_nothing(self, file, capsule, monkeypatch):
        entered(file, capsule)
        before = file.read_bytes()

        def full(*_a: object, **_k: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(StorageError):
            entries.remove(file, [str(capsule)])
        assert file.read_bytes() == before
        assert sorted(path.name for path in file.parent.iterdir()) == [".catalogue.json.lock", "catalogue.json"]

    def test_nothing_is_written_where_nothing_changes(self, file):
        entries.remove(file, ["nothing"])
        assert not file.exists()

    def test_a_place_for_it_that_cannot_be(self, tmp_path, capsule):
        write(tmp_path / "file", "")
        with pytest.raises(RecastError):
            entered(tmp_path / "file" / "catalogue.json", capsule)
