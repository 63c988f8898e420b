"""A note says what was submitted, so that its work can be made of it, and tells the same work by its digest."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from recast_dm import schemas, spec
from recast_dm.backends import Work
from recast_dm.backends.reana import note
from recast_dm.backends.reana.translate import translate
from recast_dm.errors import IntegrityError, UsageError
from recast_dm.images import fake
from recast_dm.images.placed import Placed
from recast_dm.model import Policy
from recast_dm.spec import text

IMAGE = "image:1.0"
STEPS = """
stages:
- name: make
  dependencies: [init]
  scheduler:
    scheduler_type: singlestep-stage
    parameters: {file: {step: init, output: file}, out: '{workdir}/out.txt'}
    step:
      process: {process_type: string-interpolated-cmd, cmd: 'sh {file} > {out}'}
      publisher: {publisher_type: interpolated-pub, publish: {out: '{out}'}}
      environment: {environment_type: docker-encapsulated, image: image, imagetag: '1.0'}
"""


@pytest.fixture
def work(tmp_path) -> Work:
    init = tmp_path / "init"
    (init / "deep").mkdir(parents=True)
    (init / "run.sh").write_text("echo hi\n")
    (init / "run.sh").chmod(0o755)
    (init / "deep/data").write_bytes(b"\x00\x01")
    return Work(
        workflow=spec.yadage.parse_workflow(text.parse(STEPS, "workflow.yml")),
        initdata={"file": "run.sh", "n": 1.0},
        initdir=init,
        pinned={IMAGE: fake.image(IMAGE)},
        about={"analysis": "small", "capsule": None},
        results={"out": "make/out.txt"},
    )


def placed(where: str) -> dict[str, Placed]:
    return {IMAGE: Placed(f"{where}/image@sha256:{'0' * 64}", fake.image(IMAGE))}


def written(work: Work, where: str = "registry.example.org") -> dict:
    found = note.note(work, translate(work, images=placed(where), results=work.results), placed(where))
    return json.loads(note.content(found))


def copied(work: Work, to: Path) -> Path:
    """The init files as REANA gives them back: nobody knows any more which may be executed."""
    shutil.copytree(work.initdir, to / "inputs")
    for path in (to / "inputs").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    return to


def test_the_work_of_a_note_is_the_work(work, tmp_path):
    document = written(work)
    assert schemas.problem("reana-note-1", document) is None
    again = note.work_of(note.checked(document, "w.1"), copied(work, tmp_path / "copy"))
    assert again.workflow.source == work.workflow.source
    assert (again.initdata, again.results, again.about) == (work.initdata, work.results, work.about)
    assert (tmp_path / "copy/inputs/run.sh").stat().st_mode & 0o111
    assert not (tmp_path / "copy/inputs/deep/data").stat().st_mode & 0o111
    assert note.digest(again, note.images(again, {})) == document["digest"]


def test_the_digest_is_of_the_work_and_not_of_where_images_lie(work):
    here, there = written(work, "one.example.org"), written(work, "two.example.org")
    assert here["digest"] == there["digest"]
    assert here["sent"] != there["sent"]
    limited = replace(work, policies={"make": Policy(memory=1 << 30)}, about={"analysis": "another"})
    assert written(limited)["digest"] == here["digest"]


@pytest.mark.parametrize("change", ["initdata", "kind", "file", "mode", "image", "relaxations", "workflow"])
def test_another_work_has_another_digest(work, change):
    before = written(work)["digest"]
    if change == "initdata":
        work = replace(work, initdata={**work.initdata, "n": 2.0})
    elif change == "kind":
        work = replace(work, initdata={**work.initdata, "n": 1})
    elif change == "file":
        (work.initdir / "deep/data").write_bytes(b"\x00\x02")
    elif change == "mode":
        (work.initdir / "deep/data").chmod(0o755)
    elif change == "relaxations":
        work = replace(work, relaxations={"make": ("compat: raw",)})
    elif change == "workflow":
        work = replace(work, workflow=spec.yadage.parse_workflow(text.parse(STEPS.replace("sh {", "bash {"), "w.yml")))
    found = note.images(work, {})
    if change == "image":
        found = {IMAGE: replace(found[IMAGE], diff_ids=("sha256:" + "1" * 64,))}
    assert note.digest(work, found) != before


def test_init_files_that_somebody_changed_there_are_found(work, tmp_path):
    copy = copied(work, tmp_path / "copy")
    (copy / "inputs/deep/data").write_bytes(b"\x00\x02")
    with pytest.raises(IntegrityError, match="not those that were submitted: deep/data"):
        note.work_of(written(work), copy)


def test_init_files_that_are_gone_or_more_are_found(work, tmp_path):
    copy = copied(work, tmp_path / "copy")
    (copy / "inputs/run.sh").unlink()
    (copy / "inputs/more").write_text("")
    with pytest.raises(IntegrityError, match=r"not those that were submitted: more, run\.sh"):
        note.work_of(written(work), copy)


def test_a_note_that_was_changed_is_found(work, tmp_path):
    document = written(work)
    document["initdata"]["n"] = 2.0
    with pytest.raises(IntegrityError, match="does not say what was submitted"):
        note.work_of(document, copied(work, tmp_path / "copy"))


def test_what_is_no_note(work):
    with pytest.raises(IntegrityError, match=r"note\.json of w\.1 is no note of ours: 'sent' is a required property"):
        note.checked({key: value for key, value in written(work).items() if key != "sent"}, "w.1")


def test_an_image_whose_layers_nobody_knows_is_refused(work):
    with pytest.raises(UsageError, match=r"layers of the image image:1\.0 are not known"):
        note.images(replace(work, pinned={}), {})
    assert note.images(replace(work, pinned={}), placed("here"))[IMAGE].diff_ids == fake.image(IMAGE).diff_ids
