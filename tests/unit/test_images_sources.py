"""Where images come from: which source is asked, what it says, and engines that behave like none."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from imagetars import OCI, OciLayout, by_directory, config, digest, manifest, packed
from layertars import tar

from recast_dm.cli import options, preserving
from recast_dm.errors import IntegrityError, RemoteError, StorageError, ToolMissing, UsageError
from recast_dm.images import engine, layout, sources
from recast_dm.images.blobs import Blobs
from recast_dm.images.fake import FakeSource

BASE, TOP = tar({"base": "base" * 1000}), tar({"top": "top"})


@pytest.fixture
def shared(tmp_path) -> Blobs:
    return Blobs(tmp_path / "images")


@pytest.fixture
def oci(tmp_path, monkeypatch) -> OciLayout:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return OciLayout(tmp_path / "oci")


class Failing:
    def __init__(self, error):
        self.error = error

    def take(self, references, shared):
        raise self.error


class TestCollect:
    def test_in_the_order_of_the_workflow_each_from_the_first_that_has_it(self, shared):
        first, second = FakeSource(["a:1", "b:1"]), FakeSource(["b:1", "c:1"])
        found = sources.collect(["c:1", "b:1", "a:1", "b:1"], [first, second], shared)
        assert [each.image.reference for each in found] == ["c:1", "b:1", "a:1"]

    def test_a_source_is_asked_only_for_what_is_missing(self, shared):
        sources.collect(["a:1"], [FakeSource(["a:1"]), Failing(AssertionError("asked"))], shared)

    @pytest.mark.parametrize("error", [RemoteError("no network"), ToolMissing("no docker")])
    def test_one_that_does_not_answer_is_passed_over(self, shared, error):
        (found,) = sources.collect(["a:1"], [Failing(error), FakeSource(["a:1"])], shared)
        assert found.image.reference == "a:1"

    def test_when_no_other_has_it_the_reason_is_said(self, shared):
        with pytest.raises(RemoteError, match="no network"):
            sources.collect(["a:1"], [Failing(RemoteError("no network")), FakeSource([])], shared)

    def test_what_was_tampered_with_is_never_passed_over(self, shared):
        with pytest.raises(IntegrityError):
            sources.collect(["a:1"], [Failing(IntegrityError("other bytes")), FakeSource(["a:1"])], shared)

    def test_none_has_it(self, shared):
        with pytest.raises(ToolMissing, match="no source has the image b:1, c:1") as caught:
            sources.collect(["b:1", "a:1", "c:1"], [FakeSource(["a:1"])], shared)
        assert "--images SOURCE" in (caught.value.hint or "")

    @pytest.mark.parametrize("text", ["", "oci", "oci:", "docker-archive", "docker-archive:", "dockers", "Docker", ":"])
    def test_what_is_no_source(self, text):
        with pytest.raises(UsageError, match="is no source of images") as caught:
            sources.source(text)
        assert sources.FORMS in (caught.value.hint or "")


class TestLayouts:
    def taken(self, oci, shared, *references):
        return {
            reference: each.original
            for reference, each in sources.FromLayout(oci.root).take(references, shared).items()
        }

    def test_by_the_whole_reference(self, oci, shared):
        names = {name: oci.add(name, tar({name: name})) for name in ("search:1.0", "fit:1.0")}
        assert self.taken(oci, shared, *names) == names

    def test_by_the_tag_alone(self, oci, shared):
        name = oci.add("1.0", BASE)
        oci.add("2.0", TOP)
        assert self.taken(oci, shared, "group/search:1.0") == {"group/search:1.0": name}

    def test_a_tag_that_two_images_have_names_neither(self, oci, shared):
        """`search:1.0` and `fit:1.0` are not the same image because somebody wrote one of them as `1.0`."""
        oci.add("1.0", BASE)
        assert self.taken(oci, shared, "search:1.0", "fit:1.0") == {}

    def test_by_digest(self, oci, shared):
        name = oci.add("x", BASE)
        oci.add("y", TOP)
        assert self.taken(oci, shared, f"search@{name}") == {f"search@{name}": name}

    def test_a_single_image_without_a_name(self, oci, shared):
        name = oci.add(None, BASE)
        assert self.taken(oci, shared, "search:1.0") == {"search:1.0": name}
        assert self.taken(oci, shared, "search:1.0", "fit:1.0") == {}

    def test_not_there(self, oci, shared):
        oci.add("search:1.0", BASE)
        oci.add("search:2.0", BASE)
        assert self.taken(oci, shared, "search:3.0") == {}

    def test_of_an_image_for_several_machines_the_one_for_this(self, oci, shared):
        entries = []
        for architecture in ("arm64", "amd64"):
            about = config(BASE, architecture=architecture)
            for data in (about, *packed(BASE)):
                oci.blob(data)
            platform = {"os": "linux", "architecture": architecture}
            entries.append(oci.entry(manifest(about, packed(BASE)), f"{OCI}manifest.v1+json", platform=platform))
        oci.entries = [oci.entry(json.dumps({"manifests": entries}).encode(), f"{OCI}index.v1+json", "search:1.0")]
        oci.write()
        assert self.taken(oci, shared, "search:1.0") == {"search:1.0": entries[1]["digest"]}

    def test_a_layer_is_missing_or_has_changed(self, oci, shared):
        oci.add("search:1.0", BASE)
        (layer,) = packed(BASE)
        oci.path(digest(layer)).write_bytes(gzip.compress(TOP))
        with pytest.raises(IntegrityError, match="has other bytes"):
            self.taken(oci, shared, "search:1.0")
        oci.path(digest(layer)).unlink()
        with pytest.raises(IntegrityError, match="a layer cannot be read: No such file"):
            self.taken(oci, shared, "search:1.0")

    def test_what_is_no_layout(self, tmp_path, shared):
        with pytest.raises(UsageError, match="is no OCI layout"):
            sources.FromLayout(tmp_path).take(["a:1"], shared)


class TestArchives:
    def test_all_images_of_a_workflow(self, tmp_path, shared):
        path = by_directory(tmp_path / "a.tar", {"search:1.0": (BASE, TOP), "fit:1.0": (BASE,)})
        found = sources.collect(["fit:1.0", "search:1.0"], [sources.source(f"docker-archive:{path}")], shared)
        assert [len(each.layers) for each in found] == [1, 2]

    def test_not_there(self, tmp_path, shared):
        path = by_directory(tmp_path / "a.tar", {"search:1.0": (BASE,)})
        assert sources.FromArchive(path).take(["fit:1.0"], shared) == {}
        with pytest.raises(UsageError, match="does not exist"):
            sources.FromArchive(tmp_path / "b.tar").take(["fit:1.0"], shared)


def test_every_way_gives_the_same_layers(tmp_path, oci, shared):
    oci.add("search:1.0", BASE, TOP)
    path = by_directory(tmp_path / "a.tar", {"search:1.0": (BASE, TOP)})
    ways = [sources.FromLayout(oci.root), sources.FromArchive(path)]
    found = [way.take(["search:1.0"], Blobs(tmp_path / str(n)))["search:1.0"].image for n, way in enumerate(ways)]
    assert found[0] == found[1]


# --- engines: a command of our own in the place of docker ------------------------------------------------------------


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Puts a command `docker` on the path: the text is a shell script."""

    def install(script: str) -> None:
        place = tmp_path / "bin"
        place.mkdir(exist_ok=True)
        (place / "docker").write_text(f"#!/bin/sh\n{script}\n")
        (place / "docker").chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")

    return install


@pytest.fixture
def kept(tmp_path, shared):
    about = config(BASE)
    shared.add(about)
    image = layout.stored("search:1.0", about, [shared.add_layer(lambda: io.BytesIO(BASE))])
    layout.write(tmp_path / "oci", [image], shared)
    return tmp_path / "oci", [image], [["search:1.0"]]


def inspecting(path: Path, about: bytes, **more: object) -> str:
    """A docker that knows one image, and says so."""
    said = json.dumps([{"Id": digest(about), "RepoDigests": [], **more}])
    (path.parent / "inspect.json").write_text(said)
    place = path.parent
    return f'case "$1" in image) cat {place}/inspect.json;; save) echo save >> {place}/saved; cat {path};; esac'


class TestEngines:
    def test_what_is_kept_is_not_saved_again(self, tmp_path, shared, command):
        path = by_directory(tmp_path / "a.tar", {"search:1.0": (BASE, TOP)})
        command(inspecting(path, config(BASE, TOP)))
        first = sources.FromEngine("docker").take(["search:1.0"], shared)
        assert sources.FromEngine("docker").take(["search:1.0"], Blobs(shared.root)) == first
        assert (tmp_path / "saved").read_text() == "save\n"
        assert not list(shared.root.glob(".*"))

    def test_an_image_that_is_named_by_its_digest_is_found_by_its_id(self, tmp_path, shared, command):
        path = by_directory(tmp_path / "a.tar", {"other:name": (BASE, TOP)})
        command(inspecting(path, config(BASE, TOP)))
        reference = f"group/search@{digest(b'')}"
        assert sources.FromEngine("docker").take([reference], shared)[reference].image.reference == reference

    @pytest.mark.parametrize(
        ("digests", "claim"),
        [
            ([], None),
            (None, None),
            (["localhost/search@sha256:1"], None),
            (["a/search@sha256:1", "search@sha256:2"], "search@sha256:2"),
            (["a/search@sha256:1"], "a/search@sha256:1"),
        ],
    )
    def test_what_registries_say_of_it(self, tmp_path, shared, command, digests, claim):
        path = by_directory(tmp_path / "a.tar", {"search:1.0": (BASE,)})
        command(inspecting(path, config(BASE), RepoDigests=digests))
        taken = sources.FromEngine("docker").take(["search:1.0"], shared)["search:1.0"]
        assert taken.image.registry_digest == claim

    def test_not_there(self, shared, command):
        command("echo 'Error: No such image: search:1.0' >&2; exit 1")
        assert sources.FromEngine("docker").take(["search:1.0"], shared) == {}

    @pytest.mark.parametrize(
        ("script", "message"),
        [
            (
                "echo 'Cannot connect to the Docker daemon' >&2; exit 1",
                "docker cannot look up search:1.0: Cannot connect",
            ),
            ("exit 1", "docker cannot look up search:1.0: no message"),
            ("echo '{'", "says of search:1.0 what is not understood"),
            ("echo '[]'", "says of search:1.0 what is not understood"),
            ("echo '[5]'", "says of search:1.0 what is not understood"),
            ("echo '[{}]'", "says of search:1.0 what is not understood"),
        ],
    )
    def test_one_that_does_not_answer(self, shared, command, script, message):
        command(script)
        with pytest.raises(ToolMissing, match=message):
            sources.FromEngine("docker").take(["search:1.0"], shared)

    def test_none(self, shared, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ToolMissing, match="the command `podman` is not installed") as caught:
            sources.FromEngine("podman").take(["search:1.0"], shared)
        assert sources.FORMS in (caught.value.hint or "")
        with pytest.raises(ToolMissing, match="the command `podman` is not installed"):
            engine.take("podman", ["search:1.0"], shared)

    @pytest.mark.parametrize(
        ("script", "error", "message"),
        [
            ("echo 'write /dev/stdout: no space left on device' >&2; exit 1", StorageError, "no space left"),
            ("echo 'unexpected EOF' >&2; exit 1", ToolMissing, "`docker save` failed: unexpected EOF"),
            ("echo half of an archive", IntegrityError, "is no whole docker-archive"),
            ("kill -9 $$", ToolMissing, "`docker save` failed: no message"),
        ],
    )
    def test_one_that_fails_while_it_saves(self, shared, command, script, error, message):
        command(script)
        with pytest.raises(error, match=message):
            engine.take("docker", ["search:1.0"], shared)
        assert not list(shared.root.glob(".*"))

    def test_one_that_saves_something_else(self, tmp_path, shared, command):
        path = by_directory(tmp_path / "a.tar", {"other:1.0": (BASE,)})
        command(f"cat {path}")
        with pytest.raises(ToolMissing, match=r"`docker save` left out search:1\.0"):
            engine.take("docker", ["search:1.0"], shared)


class TestLoading:
    def test_an_engine_that_takes_it(self, tmp_path, kept, command):
        command(f"cat > {tmp_path}/loaded")
        engine.load("docker", *kept)
        taken = sources.FromArchive(tmp_path / "loaded").take(["search:1.0"], Blobs(tmp_path / "again"))
        assert taken["search:1.0"].image == kept[1][0].image

    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ("head -c 10 > /dev/null; echo 'no space left on device' >&2; exit 1", "no space left on device"),
            ("cat > /dev/null; echo 'invalid tar header' >&2; exit 1", "invalid tar header"),
            ("exec 0<&-; exit 0", "no message"),
            ("kill -9 $$", "no message"),
            ("cat > /dev/null; yes 'a long story' | head -c 300000 >&2; exit 1", "a long story"),
        ],
    )
    def test_an_engine_that_dies(self, tmp_path, shared, command, script, message):
        """Its own message is what a user reads, not that our pipe broke; and not that the capsule has changed."""
        layer = os.urandom(4_000_000)  # more than a pipe takes
        about = config(layer)
        shared.add(about)
        image = layout.stored("search:1.0", about, [shared.add_layer(lambda: io.BytesIO(layer))])
        layout.write(tmp_path / "oci", [image], shared)
        command(script)
        with pytest.raises(ToolMissing, match=f"`docker load` failed: {message}"):
            engine.load("docker", tmp_path / "oci", [image], [["search:1.0"]])

    def test_what_has_changed_is_said_whatever_the_engine_says(self, kept, command):
        root, (image,), names = kept
        path = root / "blobs/sha256" / image.layers[0].digest.removeprefix("sha256:")
        data = path.read_bytes()
        command("cat > /dev/null; echo 'unexpected EOF' >&2; exit 1")
        path.unlink()
        with pytest.raises(IntegrityError, match="cannot be read"):
            engine.load("docker", root, [image], names)
        path.write_bytes(data[:-1] + b"\1")
        with pytest.raises(IntegrityError, match="has changed"):
            engine.load("docker", root, [image], names)

    def test_none(self, kept, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(ToolMissing, match="the command `podman` is not installed"):
            engine.load("podman", *kept)

    @pytest.mark.parametrize("verb", ["save", "load"])
    def test_ctrl_c_leaves_nothing(self, tmp_path, kept, command, verb):
        """The engine's command ends with us, and what it had written goes."""
        command(f"echo $$ > {tmp_path}/pid; exec sleep 600")
        program = f"""
import sys
from pathlib import Path
from recast_dm.images import engine
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Layout
oci = Layout(Path({str(kept[0])!r}))
if {verb!r} == "save":
    engine.take("docker", ["search:1.0"], Blobs(Path({str(tmp_path / "images")!r})))
engine.load("docker", oci.root, oci.images(), [["search:1.0"]])
"""
        process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
        while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text().endswith("\n"):
            assert process.poll() is None
        time.sleep(
            0.5
        )  # until Python knows of it too: who is interrupted in between leaves it to read the end of a pipe
        process.send_signal(2)
        _, said = process.communicate(timeout=60)
        assert b"KeyboardInterrupt" in said
        status = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/status")
        while status.exists() and "State:\tZ" not in status.read_text():
            time.sleep(0.01)  # it was killed, and nobody may have buried it yet
        assert not list((tmp_path / "images").glob(".*"))


class TestSharedPlace:
    @pytest.fixture
    def place(self, tmp_path, monkeypatch) -> Path:
        monkeypatch.setattr(options, "DEFAULTS", type("D", (), {"cache_dir": tmp_path / "cache"}))
        return tmp_path / "cache/images"

    def test_the_cache(self, place):
        with preserving.shared_blobs() as shared:
            assert shared.root == place

    @pytest.mark.parametrize("closed", ["cache", "cache/images", "cache/images/layers", "cache/images/blobs/sha256"])
    def test_where_nothing_can_be_kept(self, place, tmp_path, closed):
        """Also where somebody else made the directories: the capture needs some space of its own then."""
        (tmp_path / closed).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / closed).write_text("")
        with preserving.shared_blobs() as shared:
            assert tmp_path not in shared.root.parents
            shared.add(b"x")
        assert not shared.root.exists()
