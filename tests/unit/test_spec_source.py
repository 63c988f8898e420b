"""Whatever somebody has: analyses, catalogue entries, reana.yaml, workflows, and the archives with their inputs."""

from __future__ import annotations

import io
import stat
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from recast_dm import spec
from recast_dm.errors import Location, RemoteError, SpecError, UsageError
from recast_dm.spec import archive, text
from recast_dm.spec.remote import Missing
from recast_dm.spec.source import Source, open_source, prepare

STAGE = """\
- name: hello
  dependencies: [init]
  scheduler:
    scheduler_type: singlestep-stage
    parameters: {name: {step: init, output: name}, out: '{workdir}/hello.txt'}
    step: {$ref: 'steps.yml#hello'}
"""
STEPS = """\
hello:
  process: {process_type: string-interpolated-cmd, cmd: 'echo {name} > {out}'}
  publisher: {publisher_type: frompar-pub, outputmap: {out: out}}
  environment: {environment_type: docker-encapsulated, image: busybox, imagetag: '1'}
"""
FLOW = {"workflow.yml": f"stages:\n{STAGE}", "steps.yml": STEPS}
ENTRY = """\
name: examples/hello
metadata: {author: Ada, short_description: An example}
spec:
  workflow: workflow.yml
example_inputs:
  other: {initdata: {name: other}}
  default:
    initdata: {name: hello}
results:
- {name: My Result, relpath: hello/hello.txt, load_yaml: true}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(files: Mapping[str, str | bytes], below: str = ".") -> None:
    for name, content in files.items():
        path = Path(below) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def server_of(files: Mapping[str, str | bytes]) -> Callable[..., bytes]:
    def fetch(url: str, *, limit: int = text.MAX_BYTES) -> bytes:
        if url not in files:
            raise Missing(f"{url} does not exist (HTTP 404)")
        content = files[url]
        return content if isinstance(content, bytes) else content.encode()

    return fetch


def runs(source: Source) -> list[str]:
    """The stages of a source that is a workflow."""
    return [stage.name for stage in spec.parse_workflow(source.root, raw_stages=frozenset(source.relaxations)).stages]


def refusal(word: str, kind: type[Exception] = SpecError, **options: object) -> SpecError:
    with pytest.raises(kind) as caught:
        open_source(word, **options)
    return caught.value


class TestWorkflow:
    @pytest.mark.parametrize("word", ["flow", "flow/workflow.yml", "flow/workflow.yml#", "flow/workflow.yml#/"])
    def test_a_file_or_its_directory(self, word):
        write(FLOW, "flow")
        source = open_source(word)
        assert (source.kind, source.name, runs(source)) == ("workflow", "workflow", ["hello"])
        assert source.where == Location("flow/workflow.yml", 1, 1)
        assert (source.initdata, source.initdir, source.results) == ({}, None, {})

    def test_a_part_of_a_file(self):
        write({**FLOW, "many.yml": "flows:\n  one: {$ref: 'workflow.yml'}\n"})
        assert runs(open_source("many.yml#/flows/one")) == ["hello"]
        assert "names 'two'" in refusal("many.yml#/flows/two").message

    def test_a_file_that_is_called_like_a_part(self):
        write({**FLOW, "a#b.yml": "stages: []"})
        assert open_source("a#b.yml").root.plain() == {"stages": []}

    @pytest.mark.parametrize("word", ["workflow.yml", "raw_with_defaults:workflow.yml"])
    def test_a_name_below_a_toplevel(self, word):
        write(FLOW, "top")
        assert runs(open_source(word, toplevel="top")) == ["hello"]

    def test_a_file_elsewhere_whose_references_begin_at_the_toplevel(self):
        write({"top/steps.yml": STEPS, "mine.yml": f"stages:\n{STAGE}"})
        assert runs(open_source("mine.yml", toplevel="top")) == ["hello"]

    def test_on_servers(self):
        raw = "https://raw.githubusercontent.com/org/repo/v1/flow/"
        fetch = server_of({raw + name: content for name, content in FLOW.items()})
        for word, toplevel in [
            ("workflow.yml", "github:org/repo@v1:flow"),
            ("github:org/repo@v1:flow/workflow.yml", None),
            (raw + "workflow.yml", None),
            ("workflow.yml", raw),
        ]:
            source = open_source(word, toplevel=toplevel, fetch=fetch)
            assert runs(source) == ["hello"]
            assert source.name == "workflow"
            assert source.where.file == raw + "workflow.yml"

    @pytest.mark.parametrize("word", ["github:org/repo:w.yml", "https://example.org/w.yml?token=secret"])
    def test_servers_are_asked_only_when_allowed(self, word):
        error = refusal(word, UsageError)
        assert "--allow-remote" in str(error)
        assert "secret" not in str(error)

    @pytest.mark.parametrize(
        ("word", "toplevel", "message"),
        [
            ("none.yml", None, "none.yml does not exist"),
            ("none.yml#/a", None, "none.yml#/a does not exist"),
            ("empty", None, "empty holds none of recast.yml, reana.yaml, workflow.yml"),
            ("w.yml", "none", "the toplevel none is not a directory"),
            ("none.yml", "empty", "the workflow 'none.yml' does not exist in empty"),
            ("a\0b", None, "does not exist"),
            ("x" * 5000, None, "does not exist"),
            ("https://example.org", None, "https://example.org names no file"),
            ("github:org/repo:", None, "names no file"),
            ("w.yml", "github:repo", "is on a server"),
        ],
    )
    def test_what_is_not_there_is_a_usage_error(self, word, toplevel, message):
        Path("empty").mkdir()
        error = refusal(word, UsageError, toplevel=toplevel)
        assert message in error.message
        assert error.hint

    def test_what_is_none_of_them(self):
        write({"x.yml": "\na: 1"})
        error = refusal("x.yml")
        assert "this is no workflow" in error.message
        assert error.where == Location("x.yml", 2, 1)

    def test_only_a_recast_yml_has_examples(self):
        write(FLOW)
        for word in ("workflow.yml", ".", "workflow.yml#/stages"):
            assert "there is no example 'x'" in refusal(word, UsageError, example="x").message


class TestAnalysis:
    def test_ours_keeps_the_analysis(self, toy_directory):
        source = open_source(toy_directory)
        assert source.kind == "analysis"
        assert source.analysis is not None
        assert (source.name, source.initdir) == (source.analysis.name, source.analysis.initdir)
        assert source.initdata == source.analysis.example.initdata
        assert spec.parse_workflow(source.root) == source.analysis.workflow
        assert runs(open_source(toy_directory / "recast.yml")) == runs(source)

    def test_another_example_of_ours(self):
        write({**FLOW, "recast.yml": ENTRY})
        assert open_source(".").kind == "analysis"
        assert open_source(".").initdata == {"name": "other"}
        source = open_source(".", example="default")
        assert source.initdata == {"name": "hello"}
        assert refusal(".", UsageError, example="othr").hint == "did you mean 'other'?"

    def test_its_errors_are_those_of_recast_yml(self):
        write({**FLOW, "recast.yml": ENTRY.replace("relpath:", "rlpath:")})
        error = refusal(".")
        assert error.where == Location("recast.yml", 10, 3)

    def test_references_to_servers_need_the_fetch(self):
        url = "https://example.org/steps.yml"
        write({"recast.yml": ENTRY, "workflow.yml": f"stages:\n{STAGE}".replace("steps.yml", url)})
        assert "--allow-remote" in str(refusal("."))
        assert runs(open_source(".", fetch=server_of({url: STEPS}))) == ["hello"]


class TestCatalogueEntry:
    def test_without_a_toplevel_it_is_beside_in_specs(self):
        write({"recast.yml": ENTRY})
        write(FLOW, "specs")
        source = open_source(".")
        assert (source.kind, source.name, runs(source)) == ("recast-entry", "examples/hello", ["hello"])
        assert source.initdata == {"name": "hello"}
        assert open_source(".", example="other").initdata == {"name": "other"}
        assert source.results == {"My Result": "hello/hello.txt"}

    @pytest.mark.parametrize("name", ["entry.yml", "recast.yml"])
    def test_on_a_server(self, name):
        raw = "https://raw.githubusercontent.com/org/flows/main/testing/busybox-flow/"
        entry = ENTRY.replace(
            "  workflow: workflow.yml", "  toplevel: 'github:org/flows@main:testing/busybox-flow'\n  workflow: root.yml"
        )
        write({name: entry})
        error = refusal(name)
        assert error.where == Location(name, 4, 13)
        assert "--allow-remote" in str(error)
        files = {raw + "root.yml": FLOW["workflow.yml"], raw + "steps.yml": STEPS}
        source = open_source(name, fetch=server_of(files))
        assert (source.kind, runs(source)) == ("recast-entry", ["hello"])

    def test_somewhere_else_it_can_be_run_but_not_preserved(self, here):
        write(FLOW, "elsewhere")
        write({"elsewhere/data/x": "1"})
        entry = ENTRY.replace("spec:\n", f"spec:\n  toplevel: {here}/elsewhere\n")
        entry = entry.replace("    initdata: {name: hello}", f"    dataopts: {{initdir: {here}/elsewhere/data}}")
        write({"entry/recast.yml": entry})
        source = open_source("entry")
        assert (source.kind, runs(source), source.initdata) == ("recast-entry", ["hello"], {})
        assert source.initdir == here / "elsewhere" / "data"
        assert [note.partition(" lies outside")[0].split()[1] for note in source.notes] == ["toplevel", "initdir"]

    def test_it_needs_no_examples_and_no_results(self):
        write({**FLOW, "recast.yml": "name: a/b\nmetadata: {}\nspec: {workflow: workflow.yml}\nresults:\ntests: []\n"})
        source = open_source(".")
        assert (source.kind, source.initdata, source.results) == ("recast-entry", {}, {})
        assert refusal(".", UsageError, example="x").hint == "there is none here"

    def test_its_inputs_may_be_an_archive(self):
        url = "https://gitlab.example.org/api/v4/projects/a%2Fb/repository/archive.zip?sha=master"
        options = f"dataopts: {{archivematch: '*/examples/in/', inputarchive: '{url}'}}"
        write({**FLOW, "recast.yml": ENTRY.replace("initdata: {name: hello}", options)})
        source = open_source(".")
        assert source.kind == "recast-entry"
        assert (source.inputarchive, source.archivematch, source.initdir) == (url, "*/examples/in/", None)
        with pytest.raises(SpecError, match="--allow-remote") as caught:
            prepare(source, Path("init"))
        assert "sha=" not in str(caught.value)
        fetch = server_of({url: zipped({"b-master/examples/in/w.json": "1", "b-master/README": "no"})})
        assert prepare(source, Path("init"), fetch) == Path("init")
        assert [str(path) for path in Path("init").rglob("*")] == ["init/w.json"]

    def test_an_archive_beside_it(self):
        options = "dataopts: {inputarchive: data/in.zip}"
        write({**FLOW, "data/in.zip": zipped({"x": "1"})}, "entry")
        write({"entry/recast.yml": ENTRY.replace("initdata: {name: hello}", options)})
        assert prepare(open_source("entry"), Path("init")) == Path("init")
        assert Path("init/x").read_text() == "1"

    def test_a_relaxation_is_kept(self):
        write({**FLOW, "recast.yml": ENTRY + "steps: {hello: {compat: raw}, other: {}}\n"})
        write({"entry.yml": Path("recast.yml").read_text()})
        assert open_source("entry.yml").relaxations == {"hello": ("compat: raw",)}

    @pytest.mark.parametrize(
        ("old", "new", "message", "place"),
        [
            ("  workflow: workflow.yml", "  workflow: none.yml", "the workflow 'none.yml' does not exist", (4, 13)),
            ("  workflow: workflow.yml", "  workflow: 1", "the workflow must be a text", (4, 13)),
            ("  workflow: workflow.yml", "  toplevel: ..\n  workflow: workflow.yml", "leaves the directory", (4, 13)),
            (
                "  workflow: workflow.yml",
                "  toplevel: nowhere\n  workflow: workflow.yml",
                "'nowhere' does not exist",
                (4, 13),
            ),
            ("  workflow: workflow.yml", "  toplevel: from-github/x\n  workflow: w", "has moved", (4, 13)),
            ("spec:\n", "spec:\n  workflow_type: snakemake\n", "a workflow of the type snakemake", (4, 18)),
            ("initdata: {name: hello}", "dataopts: {initdri: x}", "dataopts has no key 'initdri'", (8, 25)),
            ("initdata: {name: hello}", "dataopts: {initdir: none}", "'none' does not exist", (8, 25)),
            ("initdata: {name: hello}", "dataopts: {initdir: recast.yml}", "is not a directory", (8, 25)),
            ("initdata: {name: hello}", "dataopts: {inputarchive: none.zip}", "does not exist", (8, 30)),
            ("initdata: {name: hello}", "dataopts: {archivematch: x/}", "without inputarchive", (8, 30)),
            (
                "initdata: {name: hello}",
                "dataopts: {inputarchive: recast.yml, archivematch: x}",
                "must end with a slash",
                (8, 56),
            ),
            ("initdata: {name: hello}", "initdata: [1]", "initdata must be a mapping", (8, 15)),
            ("relpath:", "rlpath:", "a result lacks the key 'relpath'", (10, 3)),
        ],
    )
    def test_a_malformed_entry_names_file_line_and_column(self, old, new, message, place):
        write({**FLOW, "recast.yml": "", "entry.yml": ENTRY.replace(old, new)})
        error = refusal("entry.yml", fetch=server_of({}))
        assert message in error.message
        assert error.where == Location("entry.yml", *place)


REANA = """\
version: 0.9.4
inputs:
  files: [code/gen.C, data/in.csv]
  directories: [lib]
  parameters: {name: hello, year: 1500}
  options: {initfiles: [first.yml, second.yml], accept_metadir: true}
workflow:
  type: yadage
  file: workflow/yadage/workflow.yml
  resources: {cvmfs: [a.cern.ch]}
outputs:
  files: [hello/hello.txt]
  directories: [plots]
"""
WORKSPACE = {
    "code/gen.C": "gen",
    "data/in.csv": "1,2",
    "lib/a/b.C": "b",
    "not-mine.txt": "no",
    "first.yml": "name: first\nevents: 7\nyear: 1\n",
    "second.yml": "events: 8\n",
    "reana.yaml": REANA,
}


class TestReana:
    @pytest.fixture(autouse=True)
    def workspace(self):
        write(WORKSPACE, "ana")
        write(FLOW, "ana/workflow/yadage")

    @pytest.mark.parametrize("word", ["ana", "ana/reana.yaml"])
    def test_a_reana_yaml_of_the_type_yadage(self, word, here):
        source = open_source(word)
        assert (source.kind, source.name, runs(source)) == ("reana", "ana", ["hello"])
        assert source.initdata == {"name": "hello", "events": 8, "year": 1500}
        assert source.results == {"hello/hello.txt": "hello/hello.txt", "plots": "plots"}
        assert source.notes == ("workflow.resources (cvmfs) is for REANA, and is not provided here",)
        assert source.chosen == ("code/gen.C", "data/in.csv", "lib")

    def test_its_init_files_are_what_would_be_uploaded(self):
        assert prepare(open_source("ana"), Path("init")) == Path("init")
        files = sorted(str(path.relative_to("init")) for path in Path("init").rglob("*") if path.is_file())
        assert files == ["code/gen.C", "data/in.csv", "lib/a/b.C"]

    def test_a_link_is_not_a_way_to_other_files(self):
        write({"secret": "x"})
        Path("ana/lib/link").symlink_to("../../secret")
        prepare(open_source("ana"), Path("init"))
        assert Path("init/lib/link").is_symlink()

    def change(self, old: str, new: str) -> None:
        assert old in REANA
        write({"ana/reana.yaml": REANA.replace(old, new)})

    def test_the_initdir_is_where_they_are_seen_from(self, here):
        self.change("options: {", "options: {initdir: data, ")
        source = open_source("ana")
        assert source.chosen == ("in.csv",)
        assert prepare(source, Path("init")) == Path("init")
        assert [path.name for path in Path("init").iterdir()] == ["in.csv"]
        self.change("options: {", "options: {initdir: lib/a, ")
        assert prepare(open_source("ana"), Path("unused")) == Path("ana/lib/a")

    def test_nothing_is_uploaded(self):
        self.change("  files: [code/gen.C, data/in.csv]\n  directories: [lib]\n", "")
        assert prepare(open_source("ana"), Path("init")) is None

    def test_a_toplevel_of_its_own(self):
        self.change("options: {", "options: {toplevel: workflow/yadage, ")
        assert runs(open_source("ana")) == ["hello"]
        self.change("workflow/yadage/workflow.yml", "workflow.yml")
        write({"ana/workflow.yml": FLOW["workflow.yml"], "ana/steps.yml": STEPS})
        assert runs(open_source("ana")) == ["hello"]

    def test_a_toplevel_on_a_server(self):
        self.change("options: {", "options: {toplevel: 'github:o/r', ")
        raw = "https://raw.githubusercontent.com/o/r/main/workflow/yadage/"
        assert "--allow-remote" in str(refusal("ana"))
        assert runs(open_source("ana", fetch=server_of({raw + name: FLOW[name] for name in FLOW}))) == ["hello"]

    def test_a_specification_inside(self):
        inner = "".join(f"      {line}\n" for line in STAGE.splitlines())
        self.change("  file: workflow/yadage/workflow.yml\n", f"  specification:\n    stages:\n{inner}")
        write({"ana/steps.yml": STEPS})
        assert runs(open_source("ana")) == ["hello"]

    @pytest.mark.parametrize(
        ("old", "new", "message", "place"),
        [
            ("type: yadage", "type: serial", "a REANA workflow of the type serial", (8, 9)),
            ("version:", "verison:", "reana.yaml has no key 'verison'", (1, 10)),
            ("  file: workflow/yadage/workflow.yml\n", "", "lacks the key 'specification'", (8, 3)),
            ("  file: workflow/yadage/workflow.yml\n", "  file: no.yml\n", "'no.yml' does not exist", (9, 9)),
            ("initfiles: [first.yml", "initfiles: [fist.yml", "'fist.yml' does not exist", (6, 25)),
            ("data/in.csv", "../in.csv", "'../in.csv' does not exist", (3, 23)),
            ("parameters: {name: hello, year: 1500}", "parameters: [1]", "must be a mapping", (5, 15)),
            ("options: {", "options: {CACHE: x, ", "inputs.options has no key 'CACHE'", (6, 20)),
            ("options: {", "options: {initdir: first.yml, ", "is not a directory", (6, 22)),
            ("files: [hello/hello.txt]", "files: hello.txt", "outputs must be a list", (12, 10)),
        ],
    )
    def test_a_malformed_one_names_file_line_and_column(self, old, new, message, place):
        self.change(old, new)
        error = refusal("ana")
        assert message in error.message
        assert error.where == Location("ana/reana.yaml", *place)

    def test_another_type_is_one_clear_line(self):
        write({"serial/reana.yaml": "workflow: {type: serial, specification: {steps: []}}"})
        error = refusal("serial")
        assert error.message == "a REANA workflow of the type serial"
        assert "reana-client runs the others" in (error.hint or "")

    def test_an_input_may_not_lie_outside(self):
        write({"secret": "x"})
        self.change("data/in.csv", "../secret")
        assert "leaves the directory" in refusal("ana").message


def zipped(files: Mapping[str, str], **attributes: int) -> bytes:
    """A zip file in memory; `attributes` are unix modes by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes.get(name, 0o644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(info, content)
    return buffer.getvalue()


class TestArchive:
    def extract(self, content: bytes, match: str | None = None, **bounds: int) -> list[str]:
        Path("in.zip").write_bytes(content)
        archive.extract(Path("in.zip"), Path("out"), match, where=Location("recast.yml", 7, 3), **bounds)
        return sorted(str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file())

    def refusal(self, content: bytes, match: str | None = None, **bounds: int) -> str:
        with pytest.raises(SpecError) as caught:
            self.extract(content, match, **bounds)
        assert caught.value.where == Location("recast.yml", 7, 3)
        assert caught.value.message.startswith("the archive in.zip")
        return caught.value.message

    def test_everything_and_who_may_execute_it(self):
        files = {"a/": "", "a/run.sh": "1", "b.txt": "2", "empty/": ""}
        assert self.extract(zipped(files, **{"a/run.sh": stat.S_IFREG | 0o4755})) == ["a/run.sh", "b.txt"]
        assert stat.S_IMODE(Path("out/a/run.sh").stat().st_mode) == 0o755
        assert stat.S_IMODE(Path("out/b.txt").stat().st_mode) == 0o644
        assert Path("out/empty").is_dir()

    @pytest.mark.parametrize("listed", [{}, {"r-1/": "", "r-1/ex/": "", "r-1/ex/in/": ""}])
    def test_a_directory_that_matches(self, listed):
        files = {**listed, "r-1/ex/in/x": "1", "r-1/ex/in/d/y": "2", "r-1/README": "3", "r-1/z/r-1/ex/in": "4"}
        assert self.extract(zipped(files), "*/ex/in/") == ["d/y", "x"]

    @pytest.mark.parametrize(
        ("match", "message"),
        [
            ("*/none/", "matches 0 directories"),
            ("*/in/", "matches 2 directories, not one: a/in/, b/in/"),
            ("*/in", "must end with a slash"),
        ],
    )
    def test_one_directory_must_match(self, match, message):
        assert message in self.refusal(zipped({"a/in/x": "1", "b/in/x": "2"}), match)

    @pytest.mark.parametrize(
        ("name", "mode", "message"),
        [
            ("/etc/passwd", 0, "a name that no file here may have"),
            ("../x", 0, "would be written outside"),
            ("a/../../x", 0, "would be written outside"),
            ("a\\..\\x", 0, "a name that no file here may have"),
            ("C:/x", 0, "a name that no file here may have"),
            ("a\nb", 0, "a name that no file here may have"),
            ("link", stat.S_IFLNK | 0o777, "is a link or a device"),
            ("fifo", stat.S_IFIFO | 0o644, "is a link or a device"),
        ],
    )
    def test_a_member_that_would_write_elsewhere(self, name, mode, message):
        assert message in self.refusal(zipped({"fine": "1", name: "/etc/passwd"}, **{name: mode}))
        assert not Path("out").exists()

    def test_bombs(self):
        assert "unpacks to more than 1000 bytes" in self.refusal(zipped({"x": "0" * 1001}), max_bytes=1000)
        many = zipped({f"f{n}": "" for n in range(21)})
        assert "more than 20 members" in self.refusal(many, max_members=20)
        assert "more than 10000 members" in self.refusal(zipped({f"f{n}": "" for n in range(10_001)}))

    def test_a_size_that_is_a_lie(self):
        content = bytearray(zipped({"x": "0" * 100_000}))
        for sign, at in ((b"PK\1\2", 24), (b"PK\3\4", 22)):  # the sizes of what is unpacked
            place = content.index(sign) + at
            content[place : place + 4] = (10).to_bytes(4, "little")
        assert "cannot be unpacked" in self.refusal(bytes(content), max_bytes=1000)

    @pytest.mark.parametrize(
        "content", [b"", b"PK", b"no zip file" * 100, zipped({"x": "1"})[:-5], zipped({"x": "1"})[5:]]
    )
    def test_what_is_no_zip_file(self, content):
        assert self.refusal(content)

    def test_what_is_in_it_twice(self):
        buffer = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as opened:
            warnings.simplefilter("ignore")  # zipfile's own word that this is wrong
            opened.writestr("x", "1")
            opened.writestr("x", "2")
        assert "is in it twice" in self.refusal(buffer.getvalue())
        assert self.refusal(zipped({"a": "1", "a/b": "2"}))

    def test_damage_is_found(self):
        content = bytearray(zipped({"x": "some text that is long enough" * 10}))
        content[45] ^= 0xFF
        assert "cannot be unpacked" in self.refusal(bytes(content))

    def test_a_directory_that_exists_is_not_touched(self):
        Path("out").mkdir()
        assert "out is there already" in self.refusal(zipped({"x": "1"}))


def test_remote_errors_keep_their_kind():
    def fetch(url: str, *, limit: int = 0) -> bytes:
        raise RemoteError(f"{url} does not answer")

    with pytest.raises(RemoteError):
        open_source("https://example.org/w.yml", fetch=fetch)
