"""`recast-dm images`: what a user sees of a capsule's images, here and at a registry that does not answer."""

from __future__ import annotations

import json

import pytest
from distribution import Answer, serve
from workbench import TOY_IMAGE

from recast_dm import schemas
from recast_dm.capsule import open_capsule
from recast_dm.cli import main
from recast_dm.images import push as pushing
from recast_dm.images.blobs import blob_path
from recast_dm.images.layout import Layout


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch, tmp_path):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


@pytest.fixture
def host():
    with serve() as host:
        yield host


def test_ls_without_a_registry(cli, toy_capsule):
    code, out, err = cli("images", "ls", toy_capsule.path)
    assert (code, err) == (0, "")
    assert TOY_IMAGE in out
    code, out, _ = cli("images", "ls", toy_capsule.path, "--json")
    document = json.loads(out)
    assert schemas.problem("images-1", document) is None
    assert [each["image_id"] for each in document["images"]] == [each.image_id for each in toy_capsule.images]
    assert document["registry"] is None


@pytest.mark.parametrize("there", [True, False])
def test_ls_asks_a_registry_by_the_digest_that_a_push_has(cli, toy_capsule, host, there):
    layout = open_capsule(toy_capsule.path).layout
    placed = pushing.placed(layout, f"{host.address}/ours")[TOY_IMAGE]
    path = f"/v2/{placed.name.partition('/')[2]}/manifests/{Layout(layout).index()[0]['digest']}"
    if there:
        host.found[path] = Answer()
    words = ("images", "ls", toy_capsule.path, "--registry", f"{host.address}/ours")
    code, out, _ = cli(*words, "--json")
    document = json.loads(out)
    assert (code, schemas.problem("images-1", document)) == (0, None)
    (image,) = document["images"]
    assert image["reference"] == placed.reference
    assert image["problem"] == (None if there else "the registry has no such image")
    assert host.paths() == [path]
    assert ("is there" if there else "no such image") in cli(*words)[1]


@pytest.mark.parametrize(
    ("registry", "code", "message"),
    [
        ("localhost:1", 6, "localhost:1 does not answer"),
        ("http://localhost:5000", 2, "is no registry"),
    ],
)
def test_a_push_that_cannot_be(capsys, toy_capsule, registry, code, message):
    assert main(["images", "push", str(toy_capsule.path), registry, "--json", "--quiet"]) == code
    document = json.loads(capsys.readouterr().out)
    assert schemas.problem("error-1", document) is None
    assert message in document["message"]


def test_a_capsule_that_is_not_whole(capsys, toy_capsule, host):
    layout = open_capsule(toy_capsule.path).layout
    blob_path(layout, Layout(layout).images()[0].layers[0].digest).unlink()
    assert main(["images", "push", str(toy_capsule.path), host.address, "--json"]) == 5
    assert "is missing" in json.loads(capsys.readouterr().out)["message"]


def test_what_is_no_capsule(capsys, tmp_path):
    assert main(["images", "ls", str(tmp_path / "none"), "--json"]) != 0
    assert schemas.problem("error-1", json.loads(capsys.readouterr().out)) is None
