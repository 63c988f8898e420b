"""Images by their three identities."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recast_dm import images
from recast_dm.errors import IntegrityError, ToolMissing
from recast_dm.model import Image

PINNED = Image(
    reference="recast-dm/toy:1.0",
    image_id="sha256:0123456789abcdef",
    diff_ids=("sha256:a", "sha256:b"),
    platform="linux/amd64",
    registry_digest="r@sha256:d",
)


def lookup(**known: Image):
    return lambda name: {"name": known.get("name"), "id": known.get("id")}["id" if name == PINNED.image_id else "name"]


class TestPin:
    def test_takes_each_reference_in_order(self):
        found = {"a": PINNED, "b": replace(PINNED, reference="b")}
        assert images.pin(["b", "a"], found.get) == (found["b"], found["a"])

    @pytest.mark.parametrize(
        ("reference", "hint"), [("recast-dm/toy:1.0", "`make images`"), ("atlas/x:1", "`docker pull atlas/x:1`")]
    )
    def test_a_missing_image_is_exit_4_and_says_how_to_get_it(self, reference, hint):
        with pytest.raises(ToolMissing, match=f"the image {reference} is not here") as caught:
            images.pin([reference], lambda _name: None)
        assert caught.value.exit_code == 4
        assert hint in (caught.value.hint or "")

    def test_all_that_are_missing_are_named(self):
        with pytest.raises(ToolMissing, match=r"the images a:1, recast-dm/toy:1\.0 are not here") as caught:
            images.pin(["a:1", "b", "recast-dm/toy:1.0"], {"b": PINNED}.get)
        assert [word in (caught.value.hint or "") for word in ("docker pull a:1", "make images")] == [True, True]
        assert len((caught.value.hint or "").splitlines()) == 2


class TestFind:
    def test_by_id_even_when_the_name_has_moved_on(self):
        moved = replace(PINNED, image_id="sha256:other", diff_ids=("sha256:other",))
        found = images.find(PINNED, lookup(id=replace(PINNED, reference="sha256:0123456789abcdef"), name=moved))
        assert found == PINNED

    def test_by_layers_when_a_conversion_changed_the_id(self):
        here = replace(PINNED, image_id="sha256:converted", registry_digest=None)
        assert images.find(PINNED, lookup(name=here)) == here

    def test_an_id_with_other_layers_is_not_trusted(self):
        liar = replace(PINNED, diff_ids=("sha256:a",))
        with pytest.raises(ToolMissing):
            images.find(PINNED, lookup(id=liar))

    @pytest.mark.parametrize("layers", [("sha256:b", "sha256:a"), ("sha256:a",), ()])
    def test_a_name_with_other_layers_is_exit_5(self, layers):
        with pytest.raises(
            IntegrityError, match="is not the image that was captured: its layers or its settings"
        ) as caught:
            images.find(PINNED, lookup(name=replace(PINNED, diff_ids=layers)))
        assert caught.value.exit_code == 5

    @pytest.mark.parametrize(
        "config",
        [{"env": ["A=2"], "workdir": "/code"}, {"env": ["A=1"], "workdir": "/"}, {}],
    )
    def test_a_name_with_other_settings_is_exit_5(self, config):
        pinned = replace(PINNED, config={"env": ["A=1"], "workdir": "/code"})
        with pytest.raises(IntegrityError, match="its layers or its settings differ") as caught:
            images.find(pinned, lookup(name=replace(pinned, config=config)))
        assert caught.value.exit_code == 5
        assert images.find(pinned, lookup(name=pinned)) == pinned

    def test_where_no_settings_were_captured_they_are_not_compared(self):
        here = replace(PINNED, config={"env": ["A=1"], "workdir": ""})
        assert images.find(PINNED, lookup(name=here)) == here

    def test_nothing_here(self):
        with pytest.raises(ToolMissing, match=r"the image recast-dm/toy:1.0 \(sha256:0123456789ab\) is not here"):
            images.find(PINNED, lookup())


def test_an_images_document_reads_back():
    for image in (PINNED, replace(PINNED, config={"env": ["A=1"], "workdir": "/code"})):
        assert Image.from_document(image.document()) == image


def test_a_document_from_before_settings_were_captured():
    document = PINNED.document()
    del document["config"]
    assert Image.from_document(document) == PINNED
