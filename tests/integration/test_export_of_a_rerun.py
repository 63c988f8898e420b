"""A rerun in real containers, exported: the crate passes its validator, and another library reads it."""

import json
from pathlib import Path

from rocrate.rocrate import ROCrate

from recast_dm import reinterpret
from recast_dm.backends.local import Local
from recast_dm.capsule import open_capsule
from recast_dm.export.ro_crate import RoCrate
from recast_dm.model import Image
from recast_dm.runtimes.docker import Docker


def test_a_rerun_as_a_crate(toy_capsule: Path, toy_image: Image, docker: Docker, tmp_path: Path, validators) -> None:
    subject = reinterpret.of_capsule(open_capsule(toy_capsule))
    backend = Local(runtime=docker, jobs=2, cache=None)
    point = {"m_med": "1500", "m_dm": "1"}
    result = reinterpret.rerun(subject, "spin1-axial", point, backend, tmp_path / "run", lambda _: None)
    RoCrate().export(tmp_path / "run", tmp_path / "crate")
    assert validators.crate(tmp_path / "crate") == []

    crate = ROCrate(tmp_path / "crate")
    assert crate.mainEntity.id == "workflow.yml"
    limit = crate.get("#action/limit/0")
    published = limit["result"]
    assert published.id == "outputs/limit/0/limit.json"
    assert json.loads((tmp_path / "crate" / published.id).read_text())["cls_obs"] == result.limit.cls_obs
    image = limit["containerImage"]
    said = {value["name"]: value["value"] for value in image["identifier"]}
    assert said["image id"] == toy_image.image_id
    assert said["diff_ids"] == list(toy_image.diff_ids)
    given = next(entity for entity in crate.get_by_type("PropertyValue") if entity["name"] == "m_med")
    assert given["value"] == 1500.0
