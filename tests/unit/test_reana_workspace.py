"""Files to a workspace and back: whatever goes wrong on the way, it can be repeated, and what lies there is right."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from recast_dm import schemas, store
from recast_dm.backends.reana import workspace
from recast_dm.backends.reana.api import Reana
from recast_dm.errors import IntegrityError, RecastError, RemoteError, StorageError
from tests.loopback import Answer, Asked, Loopback, said
from tests.reana import standin as standing
from tests.reana.standin import Standin
from tests.reana.wire import Request, Response

SPECIFICATION = {"version": "0.9.4", "inputs": {}, "outputs": {}, "workflow": {"type": "yadage", "specification": {}}}


class Still:
    """A clock whose sleeps take no time."""

    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        pass


class Site:
    """A stand-in with one workflow, what it was asked, and something between it and us that may go wrong."""

    def __init__(self, directory: Path) -> None:
        self.standin = Standin(directory)
        self.asked: list[Request] = []
        self.between = lambda request, answer: answer()
        self.reana = Reana(self.standin.connection(self._handle, clock=Still(), attempts=3))
        self.w = self.reana.create("w", SPECIFICATION, {}).name
        self.asked.clear()

    def _handle(self, request: Request) -> Response:
        self.asked.append(request)
        return self.between(request, lambda asked=request: self.standin.handle(asked))

    @property
    def place(self) -> Path:
        return self.standin.find(self.w).workspace

    def uploads(self) -> list[str]:
        sent = [request.query["file_name"].lstrip("/") for request in self.asked if request.method == "POST"]
        self.asked.clear()
        return sent

    def fetched(self) -> list[str]:
        got = [request.query["file_name"] for request in self.asked if "/workspace/" in request.path]
        self.asked.clear()
        return [each.replace("[[]", "[") for each in got]  # a path is sent as the pattern that means it

    def lies(self) -> dict[str, bytes]:
        found = {path: (self.place / path).read_bytes() for path in store.tree_of(self.place).names()}
        document = json.loads(found.pop(workspace.MANIFEST))
        assert schemas.problem("reana-manifest-1", document) is None
        return found


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "site")
    yield site
    site.standin.close()


@pytest.fixture
def files(tmp_path) -> dict[str, Path | bytes]:
    (tmp_path / "here").mkdir()
    large, empty = tmp_path / "here" / "large", tmp_path / "here" / "empty"
    large.write_bytes(random.Random(1).randbytes(700_000))
    empty.write_bytes(b"")
    return {"inputs/large.bin": large, "inputs/empty": empty, "reana.yaml": b"a: 1\n", "workflow/odd [1] +%.yml": b"{}"}


def contents(files: dict[str, Path | bytes]) -> dict[str, bytes]:
    return {path: each if isinstance(each, bytes) else each.read_bytes() for path, each in files.items()}


# --- there -----------------------------------------------------------------------------------------------------------


def test_files_lie_there_as_here_and_each_is_told(site, files):
    told: list[workspace.Moved] = []
    workspace.send(site.reana, site.w, files, told.append)
    assert site.lies() == contents(files)
    assert sorted(moved.path for moved in told) == sorted(files)
    assert not any(moved.again for moved in told)
    assert (told[-1].done, told[-1].files) == (4, 4)
    assert told[-1].bytes == told[-1].total == 700_007


def test_what_lies_there_is_not_sent_again(site, files):
    first = workspace.send(site.reana, site.w, files)
    site.asked.clear()
    told: list[workspace.Moved] = []
    assert workspace.send(site.reana, site.w, files, told.append) == first
    assert site.uploads() == []
    assert all(moved.again for moved in told)


def test_file_of_another_content_and_the_same_size_is_sent_again(site, files):
    first = workspace.send(site.reana, site.w, files)
    site.asked.clear()
    assert workspace.send(site.reana, site.w, {**files, "reana.yaml": b"a: 2\n"}) != first
    assert site.uploads() == ["reana.yaml", workspace.MANIFEST]
    assert site.lies()["reana.yaml"] == b"a: 2\n"


def test_what_somebody_else_put_there_is_replaced(site, files):
    (site.place / "reana.yaml").write_bytes(b"b: 2\n")
    workspace.send(site.reana, site.w, files)
    assert site.uploads()[:2] == ["reana.yaml", workspace.MANIFEST]
    assert site.lies() == contents(files)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"schema": "recast-dm/reana-manifest/1", "files": {"a": 1}}'])
def test_manifest_that_is_cut_vouches_for_nothing(site, files, text):
    workspace.send(site.reana, site.w, files)
    (site.place / workspace.MANIFEST).write_bytes(text)
    site.asked.clear()
    workspace.send(site.reana, site.w, files)
    assert sorted(site.uploads()) == sorted([*files, workspace.MANIFEST])


def test_half_of_a_file_is_seen_by_its_size(site, files):
    workspace.send(site.reana, site.w, files)
    (site.place / "inputs/large.bin").write_bytes(b"half")
    site.asked.clear()
    workspace.send(site.reana, site.w, files)
    assert site.uploads() == ["inputs/large.bin"]
    assert site.lies() == contents(files)


def test_upload_that_was_cut_and_said_to_be_well_is_mended(site, files):
    """A proxy may take half a body and answer for the server."""

    def cut(request, answer):
        if request.query.get("file_name") == "/inputs/large.bin" and len(request.body) == 700_000 and not site.cut:
            site.cut = True
            return site.standin.handle(replace(request, body=request.body[:1000]))
        return answer()

    site.cut, site.between = False, cut
    workspace.send(site.reana, site.w, files)
    assert site.lies() == contents(files)


def test_files_that_never_arrive_whole_are_an_integrity_error(site, files):
    def cut(request, answer):
        if request.method == "POST":
            return site.standin.handle(replace(request, body=request.body[:-1]))
        return answer()

    site.between = cut
    with pytest.raises(IntegrityError, match="does not arrive"):
        workspace.send(site.reana, site.w, files)


@pytest.mark.parametrize("seed", range(40))
def test_interrupted_at_any_request_it_goes_on_and_ends_right(site, files, seed):
    """The client dies at some request, before or after the server took it whole or in part; files change meanwhile."""
    chance = random.Random(seed)

    class Died(Exception):
        pass

    def dies(request, answer):
        if chance.random() < 0.25:
            how = chance.choice(["before", "after", "half"])
            if how == "half" and request.method == "POST":
                site.standin.handle(replace(request, body=request.body[: len(request.body) // 2]))
            elif how == "after":
                answer()
            raise Died
        return answer()

    for attempt in range(60):
        site.between = dies
        if chance.random() < 0.2:
            files["reana.yaml"] = f"a: {attempt % 10}\n".encode()  # of the same size
        try:
            workspace.send(site.reana, site.w, files)
        except Died:
            continue
        break
    else:
        pytest.fail("it never came to an end")
    assert site.lies() == contents(files)


def test_connections_that_fail_now_and_then_are_not_noticed(site, files):
    chance = random.Random(7)

    def fails(request, answer):
        kind = chance.random()
        if kind < 0.1:
            raise requests.ConnectionError(request.path)
        if kind < 0.2:
            answer()
            raise requests.ReadTimeout(request.path)
        if kind < 0.3:
            return Response.json(502, {"message": "Bad Gateway"})
        return answer()

    site.between = fails
    workspace.send(site.reana, site.w, files)
    assert site.lies() == contents(files)


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/../../x", ""])
def test_path_out_of_the_workspace_is_refused_before_anything_is_sent(site, path):
    with pytest.raises(IntegrityError):
        workspace.send(site.reana, site.w, {path: b"x"})
    assert not site.asked


def test_file_that_is_not_here_is_refused_before_anything_is_sent(site, tmp_path):
    with pytest.raises(StorageError, match="nosuch"):
        workspace.send(site.reana, site.w, {"a": b"x", "b": tmp_path / "nosuch"})
    assert not site.asked


def test_later_server_takes_the_workflow_as_a_bundle_and_the_token_in_a_header(tmp_path):
    """0.95: what came with the bundle lies there already, and the rest is sent after it."""
    standin = Standin(tmp_path / "site", site=standing.Site(version="0.95.0", bundles=True, bearer=True))
    asked: list[Request] = []

    def handle(request: Request) -> Response:
        asked.append(request)
        return standin.handle(request)

    reana = Reana(standin.connection(handle, clock=Still()))
    body = {
        **SPECIFICATION,
        "inputs": {"files": ["inputs/x"]},
        "workflow": {"type": "yadage", "file": "workflow/w.yml"},
    }
    files: dict[str, Path | bytes] = {"workflow/w.yml": b"stages: []", "workflow/s.yml": b"{}", "inputs/x": b"data"}
    w = reana.create("w", body, files).name
    assert store.tree_of(standin.find(w).workspace).names() == {"reana.yaml", "workflow/w.yml", "workflow/s.yml"}
    workspace.send(reana, w, files)
    tree = workspace.fetch(reana, w, tmp_path / "run", lambda path: path in files)
    assert {path: (tmp_path / "run" / path).read_bytes() for path in tree.names()} == files
    assert [request.path for request in asked if "access_token" in request.query] == ["/api/workflows"]
    standin.close()


# --- back ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ran(site) -> dict[str, bytes]:
    """What a run left in the workspace."""
    left = {"gen/out.txt": b"42\n", "gen/sub/deep [1].bin": bytes(300_000), "empty": b"", "_yadage/log": b"log"}
    for path, content in left.items():
        (site.place / path).parent.mkdir(parents=True, exist_ok=True)
        (site.place / path).write_bytes(content)
    return left


def test_files_come_back_as_they_lie_there(site, ran, tmp_path):
    told: list[workspace.Moved] = []
    tree = workspace.fetch(site.reana, site.w, tmp_path / "run", told=told.append)
    assert {path: (tmp_path / "run" / path).read_bytes() for path in tree.names()} == ran
    assert tree == store.tree_of(tmp_path / "run")
    assert [moved.path for moved in told] == sorted(ran)
    assert not list((tmp_path / "run").rglob(".*"))


def test_only_what_is_wanted_comes(site, ran, tmp_path):
    tree = workspace.fetch(site.reana, site.w, tmp_path / "run", lambda path: path.startswith("gen/"))
    assert tree.names() == {"gen/out.txt", "gen/sub/deep [1].bin"}
    assert set(site.fetched()) == tree.names()


def test_what_came_does_not_come_again(site, ran, tmp_path):
    first = workspace.fetch(site.reana, site.w, tmp_path / "run")
    site.asked.clear()
    told: list[workspace.Moved] = []
    assert workspace.fetch(site.reana, site.w, tmp_path / "run", told=told.append) == first
    assert site.fetched() == []
    assert all(moved.again for moved in told)


def test_what_changed_there_comes_again(site, ran, tmp_path):
    workspace.fetch(site.reana, site.w, tmp_path / "run")
    changed = site.place / "gen" / "out.txt"
    changed.write_bytes(b"43\n")
    os.utime(changed, (2_000_000_000, 2_000_000_000))
    site.asked.clear()
    workspace.fetch(site.reana, site.w, tmp_path / "run", lambda path: path == "gen/out.txt")
    assert site.fetched() == ["gen/out.txt"]
    assert (tmp_path / "run" / "gen/out.txt").read_bytes() == b"43\n"


def test_fetch_that_was_interrupted_goes_on(site, ran, tmp_path):
    class Died(Exception):
        pass

    count = 0

    def dies(request, answer):
        nonlocal count
        count += "/workspace/" in request.path
        if count == 3:
            raise Died
        return answer()

    site.between = dies
    with pytest.raises(Died):
        workspace.fetch(site.reana, site.w, tmp_path / "run")
    site.between = lambda request, answer: answer()
    site.asked.clear()
    workspace.fetch(site.reana, site.w, tmp_path / "run")
    assert len(site.fetched()) == 2
    assert {path: (tmp_path / "run" / path).read_bytes() for path in ran} == ran


def test_empty_directory_that_is_listed_like_a_file_is_none(tmp_path):
    """As the real server lists `sum/_packtivity` when it is asked for `sum`."""
    listing = said(200, {"items": [{"name": "sum/_packtivity", "size": {"raw": 4096}}], "has_next": False})
    packed = Answer(body=b"PK", headers={"Content-Type": "application/zip"})
    with Loopback(listing, packed) as server:
        assert workspace.fetch(_of(server), "w", tmp_path / "run").files == ()
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file()]


def test_link_that_a_step_left_does_not_come(tmp_path):
    """REANA lists links like files, and opens none."""
    listing = said(200, {"items": [{"name": name, "size": {"raw": 1}} for name in "ab"], "has_next": False})

    def reply(asked: Asked) -> Answer:
        if asked.path.endswith("/a"):
            return said(500, {"message": "Opening symlink 'a' is not allowed"})
        return listing if asked.path.endswith("/workspace") else Answer(body=b"1")

    with Loopback(reply) as server:
        assert workspace.fetch(_of(server), "w", tmp_path / "run").names() == {"b"}


@pytest.mark.parametrize("name", ["a*", "a?", "a[bc]", "[a]", "a]", "{a,b}", "!a", "a b"])
def test_name_that_is_a_pattern_means_one_file(site, tmp_path, name):
    for each in (name, "ab", "ac"):
        (site.place / each).write_bytes(each.encode())
    tree = workspace.fetch(site.reana, site.w, tmp_path / "run")
    assert {path: (tmp_path / "run" / path).read_bytes() for path in tree.names()} == {
        each: each.encode() for each in (name, "ab", "ac")
    }
    assert workspace.file_of(site.reana, site.w, name).size == len(name)


def test_half_a_file_never_has_its_name(site, ran, tmp_path):
    def cut(request, answer):
        found = answer()
        return replace(found, cut=2) if request.path.endswith("gen/out.txt") else found

    site.between = cut
    with pytest.raises(RemoteError):
        workspace.fetch(site.reana, site.w, tmp_path / "run", lambda path: path.startswith("gen/out"))
    assert not list((tmp_path / "run" / "gen").iterdir())


def test_size_that_is_not_the_lists_is_an_integrity_error(site, ran, tmp_path):
    def shorter(request, answer):
        return replace(answer(), body=b"4") if request.path.endswith("gen/out.txt") else answer()

    site.between = shorter
    with pytest.raises(IntegrityError, match="came with 1 bytes, and the list says 3"):
        workspace.fetch(site.reana, site.w, tmp_path / "run", lambda path: path == "gen/out.txt")
    assert not (tmp_path / "run" / "gen" / "out.txt").exists()


@pytest.mark.parametrize("path", ["../x", "/../x", "a/../../x", "a\\..\\x", "a\x00b", "a\nb", "//x"])
def test_list_that_leads_out_of_the_directory_writes_nothing(path, tmp_path):
    listing = said(200, {"items": [{"name": path, "size": {"raw": 1}}], "has_next": False})
    with Loopback(listing) as server, pytest.raises(IntegrityError):
        workspace.fetch(_of(server), "w", tmp_path / "run")
    assert [each.name for each in tmp_path.iterdir()] in ([], ["run"])


def test_link_on_the_way_is_not_followed(site, ran, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "gen").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="a link is in the way"):
        workspace.fetch(site.reana, site.w, tmp_path / "run", lambda path: path.startswith("gen/out"))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_path_that_is_a_file_and_a_directory_is_our_error(tmp_path):
    items = [{"name": name, "size": {"raw": 1}} for name in ("a", "a/b")]
    with (
        Loopback(said(200, {"items": items, "has_next": False}), Answer(body=b"1")) as server,
        pytest.raises(RecastError),
    ):
        workspace.fetch(_of(server), "w", tmp_path / "run")


def test_one_file_is_found_or_missing(site, ran):
    assert workspace.file_of(site.reana, site.w, "gen/out.txt").size == 3
    with pytest.raises(RecastError, match="nosuch"):
        workspace.file_of(site.reana, site.w, "gen/nosuch")


def _of(server: Loopback) -> Reana:
    from recast_dm.backends.reana.connection import Connection
    from recast_dm.config import ReanaServer

    return Reana(Connection(ReanaServer(url=server.url, token="TOKEN"), clock=Still()))
