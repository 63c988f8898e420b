"""A workflow is sent to REANA once, whatever happens to the client, the answers, or beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from recast_dm import schemas
from recast_dm.backends.reana import note, submission
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.submission import QUIET
from recast_dm.backends.reana.translate import Translated
from recast_dm.errors import IntegrityError, RemoteError, UsageError
from tests.reana.engines import AtOnce
from tests.reana.faults import Killed, VirtualClock
from tests.reana.standin import Site, Standin
from tests.reana.submitting import WORKFLOW
from tests.reana.wire import Response

NAME = "toy-0123abcd"
DIGEST = "0" * 64
FILES = {"workflow/workflow.yml": WORKFLOW, "inputs/data": b"x" * 3000, "inputs/empty": b""}


def translated(**parameters: object) -> Translated:
    specification = {
        "version": "0.9.0",
        "inputs": {"files": sorted(FILES), "parameters": parameters},
        "workflow": {"type": "yadage", "file": "workflow/workflow.yml", "specification": None},
        "outputs": {"files": ["only/out.txt"]},
    }
    return Translated(specification=specification, files=dict(FILES), parameters=parameters)


class World:
    """A server on a clock of its own; `at` says what happens at the n-th request of the client under test."""

    def __init__(self, root: Path, *, not_startable: int = 409, ending: str = "finished") -> None:
        self.root = root
        self.clock = VirtualClock()
        engine = AtOnce(queue=5.0, work=600.0, ending=lambda _: ending)
        self.standin = Standin(
            root / "server", engine=engine, now=self.clock.now, site=Site(not_startable=not_startable)
        )
        self.uploads: Counter[tuple[str, str]] = Counter()
        self.count = 0
        self.at = {}

    def handle(self, request):
        self.count += 1
        return self.at.get(self.count, self.well)(request)

    def well(self, request):
        self.clock.sleep(0.1)
        if request.method == "POST" and request.path.endswith("/workspace"):
            self.uploads[request.path, request.query["file_name"]] += 1
        return self.standin.handle(request)

    def before(self, request):
        raise Killed

    def after(self, request):
        self.well(request)
        raise Killed

    def lost(self, request):
        self.well(request)
        return Response(status=504, body=b"", headers={})

    def reana(self, handle=None) -> Reana:
        return Reana(self.standin.connection(handle or self.handle, clock=self.clock))

    def submit(self, directory: str = "here", *, what: Translated | None = None, digest: str = DIGEST, **more):
        what = what or translated(n=1)
        about = {"schema": note.SCHEMA, "digest": digest, "sent": what.digest, "reused": []}
        place = self.root / directory
        place.mkdir(exist_ok=True)
        return submission.submit(more.pop("reana", None) or self.reana(), NAME, what, about, place, **more)

    def runs(self) -> list[tuple[str, str]]:
        return [(run.full, run.status) for run in reversed(self.standin.ordered()) if run.status != "deleted"]

    def demand_one(self) -> None:
        [run] = [run for run in self.standin.runs.values() if run.status != "deleted"]
        assert run.queued is not None
        for path, content in FILES.items():
            assert (run.workspace / path).read_bytes() == content


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_once(world):
    found = world.submit()
    world.demand_one()
    assert (found.workflow, found.state, found.digest) == (f"{NAME}.1", "started", DIGEST)
    assert submission.read(world.root / "here") == found
    assert schemas.problem("submission-1", found.document()) is None
    assert set(world.uploads.values()) == {1}


def test_the_same_command_again_sends_nothing(world):
    first = world.submit()
    sent = dict(world.uploads)
    assert world.submit() == first
    assert world.submit("another").workflow == first.workflow
    assert world.uploads == sent
    world.demand_one()


@pytest.mark.parametrize("fate", ["before", "after", "lost"])
def test_whatever_request_the_client_dies_at(tmp_path, fate):
    """Killed before or after each request in turn, or an answer lost: then the same command, here."""
    whole = World(tmp_path / "whole")
    whole.root.mkdir()
    whole.submit()
    assert whole.count >= 10
    for n in range(1, whole.count + 1):
        world = World(tmp_path / str(n))
        world.root.mkdir()
        world.at = {n: getattr(world, fate)}
        try:
            world.submit()
            assert fate == "lost"
        except Killed:
            world.submit()
        world.demand_one()
        if fate == "before":
            assert set(world.uploads.values()) == {1}, f"request {n}: a whole file is not sent again"


@pytest.mark.parametrize("fate", ["before", "after"])
def test_another_machine_goes_on(tmp_path, fate):
    whole = World(tmp_path / "whole")
    whole.root.mkdir()
    whole.submit()
    for n in range(1, whole.count + 1):
        world = World(tmp_path / str(n))
        world.root.mkdir()
        world.at = {n: getattr(world, fate)}
        with pytest.raises(Killed):
            world.submit()
        world.submit("elsewhere")
        world.demand_one()
        assert world.submit("here").workflow == world.submit("elsewhere").workflow


@pytest.mark.parametrize("not_startable", [403, 409])
def test_two_clients_at_any_moment_make_one_run(tmp_path, not_startable):
    """Another client does all of its own in the middle of each request in turn."""
    whole = World(tmp_path / "whole")
    whole.root.mkdir()
    whole.submit()
    for n in range(1, whole.count + 1):
        world = World(tmp_path / str(n), not_startable=not_startable)
        world.root.mkdir()

        def meanwhile(request, world=world):
            world.submit("there", reana=world.reana(world.well))
            return world.well(request)

        world.at = {n: meanwhile}
        mine = world.submit()
        world.demand_one()
        theirs = submission.read(world.root / "there")
        assert theirs is not None
        assert (mine.workflow, mine.state) == (theirs.workflow, theirs.state), f"request {n}"


def test_a_run_that_somebody_fills_is_left_to_them(world):
    """A file arrives every now and then: as long as that goes on, nobody else writes there."""
    run = world.reana(world.well).create(NAME, translated(n=1).specification, FILES)
    began, there = world.clock.now(), world.standin.find(run.id).workspace

    def well(request):
        passed = int(world.clock.now() - began)
        if passed < 300:
            (there / f"part{passed // 20}").write_bytes(b"x")
        return world.well(request)

    found = world.submit(reana=world.reana(well))
    assert found.workflow == run.name
    assert world.clock.now() - began > 280 + QUIET, "the last file came after 280 s"
    world.demand_one()


def test_who_was_overtaken_writes_nothing_more(world):
    uploads = []

    def stalls(request):
        if request.method == "POST" and request.path.endswith("/workspace"):
            uploads.append(request.query["file_name"])
            if len(uploads) == 2:
                answer = world.well(request)
                world.clock.sleep(1000.0)
                world.submit("there", reana=world.reana(world.well))
                return answer
        return world.well(request)

    found = world.submit(reana=world.reana(stalls))
    assert found.state == "started"
    assert len(uploads) == 2
    world.demand_one()


def test_a_failed_run_is_begun_anew_where_that_is_known(world):
    first = world.submit()
    first.failed(world.root / "here")
    second = world.submit()
    assert (first.workflow, second.workflow) == (f"{NAME}.1", f"{NAME}.2")
    assert second.before == (first.id,)
    assert world.submit() == second


def test_a_run_that_failed_there_is_not_taken(tmp_path):
    world = World(tmp_path, ending="failed")
    world.submit()
    world.clock.sleep(1000.0)
    assert world.submit("another").workflow == f"{NAME}.2"


def test_again_is_a_new_run_also_where_the_client_dies(tmp_path):
    whole = World(tmp_path / "whole")
    whole.root.mkdir()
    whole.submit()
    before = whole.count
    whole.submit(again=True)
    for n in range(before + 1, whole.count + 1):
        world = World(tmp_path / str(n))
        world.root.mkdir()
        world.submit()
        world.at = {n: world.after}
        with pytest.raises(Killed):
            world.submit(again=True)
        world.submit()
        names = [name for name, status in world.runs()]
        assert names == [f"{NAME}.1", f"{NAME}.2"] or (names == [f"{NAME}.1"] and n <= before + 3), f"request {n}"


def test_other_files_at_hand_make_a_new_run_of_one_that_never_started(world):
    world.at = {7: world.before}
    with pytest.raises(Killed):
        world.submit()
    left = submission.read(world.root / "here")
    assert left is not None
    assert left.state == "created"
    found = world.submit(what=translated(n=1, reused="reused/make/0/out.txt"))
    assert found.workflow == f"{NAME}.2"
    assert [status for name, status in world.runs()] == ["queued"]


def test_one_directory_is_for_one_work_at_one_server(world):
    world.submit()
    with pytest.raises(UsageError, match="other work"):
        world.submit(digest="1" * 64)
    other = Reana(world.standin.connection(world.well, clock=world.clock))
    other._connection.url = "https://another.example.org"
    with pytest.raises(UsageError, match=r"was submitted to https://reana.example.org, not to https://another"):
        world.submit(reana=other)


def test_a_create_that_never_works_is_an_error_that_says_so(world):
    def nothing(request):
        if request.method == "POST":
            return Response(status=504, body=b"", headers={})
        return world.well(request)

    with pytest.raises(RemoteError, match="was asked 4 times to create toy-0123abcd"):
        world.submit(reana=world.reana(nothing))
    assert world.submit().state == "started"
    world.demand_one()


def test_a_file_that_says_something_else(world, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here/submission.json").write_text('{"schema": "recast-dm/submission/1"}')
    with pytest.raises(IntegrityError, match="does not say what was submitted"):
        world.submit()


def test_a_submission_is_its_document():
    found = submission.Submission(
        workflow="a.1", id="i", server="s", name="a", state="created", digest="0" * 64, sent="1" * 64, before=("j",)
    )
    assert submission.Submission.of(found.document()) == found
    assert replace(found, state="failed").document()["state"] == "failed"
