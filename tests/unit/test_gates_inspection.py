"""One look at everything that would go into a capsule: planted secrets are found wherever they are planted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from layertars import Opened, TarImage, image, tar

from recast_dm.capsule import gates
from recast_dm.errors import IntegrityError, UsageError
from recast_dm.spec import analysis

TOKEN = "gh" + "p_" + "a1B2c3D4e5F6" * 3
LINE = f"token = '{TOKEN}'\n"
DPKG = {"var/lib/dpkg/status": "Package: tool\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n"}
TOP = "opt/lib/python3.11/site-packages"


@pytest.fixture
def toy(toy_directory, tmp_path) -> Path:
    shutil.copytree(toy_directory, tmp_path / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "toy"


@pytest.fixture
def inspect(toy):
    def inspect(*images: TarImage, opened: Opened | None = None, **more) -> gates.Inspection:
        loaded = analysis.load(toy)
        return gates.inspect(loaded.directory, loaded.workflow, images, opened or Opened(), **more)

    return inspect


def places(found: gates.Inspection) -> list[str]:
    return [secret.place for secret in found.secrets]


class TestSecrets:
    def test_a_clean_analysis_has_none(self, inspect):
        assert inspect(image(tar({"etc/motd": "welcome to the search"}))).secrets == ()

    @pytest.mark.parametrize("name", ["workflow.yml", "steps.yml", "recast.yml", "data/toy.py", "code/deep/run.sh"])
    def test_in_the_files_of_the_analysis(self, toy, inspect, name):
        path = toy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.exists() else "#!/bin/sh\n"
        path.write_text(f"{before}# {LINE}")
        (secret,) = inspect().secrets
        assert (secret.place, secret.line) == (name, before.count("\n") + 1)

    def test_in_the_history_of_its_source(self, inspect):
        found = inspect(
            history=iter([("git 0123456: old.py", LINE.encode()), ("git 0123456: x.o", b"\0" + LINE.encode())])
        )
        assert places(found) == ["git 0123456: old.py"]

    @pytest.mark.parametrize(
        ("config", "where"),
        [
            ({"config": {"Env": ["PATH=/bin", "REANA_ACCESS_TOKEN=XyZ-9aBcDeFgHiJkLmNoPq"]}}, "environment"),
            ({"container_config": {"Env": [f"T={TOKEN}"]}}, "environment"),
            ({"config": {"Labels": {"token": TOKEN}}}, "labels"),
            ({"config": {"Cmd": ["fetch", "--token", TOKEN]}}, "command"),
            ({"config": {"Entrypoint": ["fetch", TOKEN]}}, "command"),
            ({"config": {"Healthcheck": {"Test": ["CMD", TOKEN]}}}, "command"),
            ({"history": [{"created_by": f"|1 PASS={TOKEN} /bin/sh -c make"}]}, "history"),
            ({"history": [{"comment": TOKEN}]}, "history"),
            ({"history": [{"created_by": "ENV DB_PASSWORD=swordfish"}]}, "history"),
            ({"author": TOKEN}, "history"),
        ],
    )
    def test_in_what_an_image_sets_and_was_made_by(self, inspect, config, where):
        found = inspect(image(tar({}), config=config))
        assert places(found) == [f"image search:1.0: {where}"]
        assert {secret.line for secret in found.secrets} == {None}

    @pytest.mark.parametrize("odd", [None, "x", 1, ["x"], {"Env": "x", "Labels": ["x"], "Cmd": 1, "Healthcheck": "x"}])
    def test_an_odd_config_is_no_defect(self, inspect, odd):
        assert inspect(image(tar({}), config={"config": odd, "history": odd})).secrets == ()

    def test_in_a_layer(self, inspect):
        assert places(inspect(image(tar({"a": "x"}), tar({"root/.netrc": LINE})))) == [
            "search:1.0 layer 2: /root/.netrc"
        ]

    def test_in_a_layer_where_a_later_one_deletes_it(self, inspect):
        found = inspect(image(tar({"code/key.py": LINE}), tar({"code/.wh.key.py": ""})))
        assert places(found) == ["search:1.0 layer 1: /code/key.py"]

    def test_a_name_from_a_layer_cannot_write_on_the_terminal(self, inspect):
        assert places(inspect(image(tar({"a\x1b[2J": LINE})))) == ["search:1.0 layer 1: /a\\x1b[2J"]

    @pytest.mark.parametrize(
        "content", [b"\0" + LINE.encode(), LINE.encode() + b"x" * (1 << 20)], ids=["binary", "more than 1 MiB"]
    )
    def test_not_in_files_that_nobody_types(self, inspect, content):
        assert inspect(image(tar({"a": content}))).secrets == ()


class TestOwnership:
    def test_what_dpkg_owns_is_not_looked_at_wherever_the_list_stands(self, inspect):
        owned = {"var/lib/dpkg/info/tool.list": "/usr/share/tool/example.py\n/bin/tool\n", **DPKG}
        files = {"usr/share/tool/example.py": LINE, "usr/bin/tool": LINE}
        assert inspect(image(tar({**owned, **files}))).secrets == ()
        assert inspect(image(tar({**files, **owned}))).secrets == ()

    def test_what_a_record_owns_is_not_looked_at(self, inspect):
        files = {f"{TOP}/x/a.py": LINE, f"{TOP}/x-1.dist-info/RECORD": "x/a.py,,\n", f"{TOP}/y.py": "1"}
        assert inspect(image(tar(files))).secrets == ()

    def test_what_lies_beside_is(self, inspect):
        files = {f"{TOP}/x/b.py": LINE, f"{TOP}/x-1.dist-info/RECORD": "x/a.py,,\n"}
        assert places(inspect(image(tar(files)))) == [f"search:1.0 layer 1: /{TOP}/x/b.py"]

    def test_an_owned_file_that_a_later_layer_replaces_is_somebodys_own(self, inspect):
        first = tar({"etc/tool.conf": "x", "var/lib/dpkg/info/tool.list": "/etc/tool.conf\n", **DPKG})
        assert places(inspect(image(first, tar({"etc/tool.conf": LINE})))) == ["search:1.0 layer 2: /etc/tool.conf"]


class TestAllowing:
    def test_by_its_name(self, inspect):
        layer = tar({"a.py": LINE, "b.py": f"password = 'corr3ct-h0rse'\n{LINE}"})
        found = inspect(image(layer))
        token = next(secret.name for secret in found.secrets if secret.place.endswith("a.py"))
        left = inspect(image(layer), allowed=frozenset({token}))
        assert {secret.kind for secret in left.secrets} == {"Secret Keyword"}

    def test_the_refusal_names_places_and_never_values(self, inspect):
        found = inspect(image(tar({f"f{n}.py": LINE.replace("a1B2", f"a1B{n % 10}") for n in range(30)})))
        with pytest.raises(UsageError) as raised:
            found.refuse_secrets()
        said = str(raised.value)
        assert "--allow-secret" in said
        assert "layer 1: /f0.py:1: GitHub Token" in said
        assert "and 10 more" in said
        assert "c3D4e5F6" not in said

    def test_nothing_is_refused_where_there_is_nothing(self, inspect):
        inspect(image(tar({"a": "x"}))).refuse_secrets()


class TestBills:
    def test_the_final_state_counts(self, inspect):
        numpy = f"{TOP}/numpy-1.0.dist-info"
        first = tar({**DPKG, f"{numpy}/METADATA": "Name: numpy\nVersion: 1.0\n", "etc/os-release": "ID=debian\n"})
        later = {"var/lib/dpkg/status": DPKG["var/lib/dpkg/status"].replace("Version: 1", "Version: 2")}
        second = tar(
            {**later, f"{TOP}/.wh.numpy-1.0.dist-info": "", "etc/os-release": "ID=ubuntu\nVERSION_ID='22.04'\n"}
        )
        found = json.loads(inspect(image(first, second)).sboms["search:1.0"])
        urls = [component["purl"] for component in found["components"]]
        assert urls == ["pkg:deb/ubuntu/tool@2?arch=amd64&distro=ubuntu-22.04"]

    def test_a_record_that_is_a_hard_link_counts(self, inspect):
        import io
        import tarfile

        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            text = b"Name: numpy\nVersion: 1.0\n"
            info = tarfile.TarInfo("cache/numpy-1.0.dist-info/METADATA")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
            link = tarfile.TarInfo("venv/numpy-1.0.dist-info/METADATA")
            link.type, link.linkname = tarfile.LNKTYPE, info.name
            archive.addfile(link)
        found = json.loads(inspect(image(data.getvalue(), tar({".wh.cache": ""}))).sboms["search:1.0"])
        assert [each["properties"][0]["value"] for each in found["components"]] == [f"/{link.name}"]

    def test_what_cannot_be_read_is_said(self, inspect):
        found = inspect(
            image(
                tar(
                    {
                        "var/lib/rpm/Packages": b"\0" * 100,
                        "var/lib/rpm/rpmdb.sqlite-wal": "",
                        "lib/apk/db/installed": "P:musl\n",
                    }
                )
            )
        )
        assert [each.code for each in found.findings].count("packages-unread") == 2
        (bill,) = found.sboms.values()
        assert b"Berkeley DB" in bill

    def test_a_shared_layer_is_read_once(self, inspect):
        opened = Opened()
        base = tar({"a.py": LINE, **DPKG})
        one = image(base, tar({"b": "x"}), reference="one:1")
        other = image(base, tar({"c": "x"}), base, reference="other:1")
        found = inspect(one, other, opened=opened)
        assert len(opened.diff_ids) == len(set(opened.diff_ids)) == 3
        assert len(found.secrets) == 1
        assert all(b"pkg:deb/debian/tool@1" in bill for bill in found.sboms.values())


class TestLayers:
    def test_a_damaged_layer_is_one_error(self, inspect):
        with pytest.raises(IntegrityError, match="outside the image"):
            inspect(image(tar({"../x": "x"})))

    def test_progress_is_told(self, inspect, monkeypatch):
        monkeypatch.setattr("recast_dm.capsule.gates.contents._OFTEN", 0.0)
        said: list[str] = []
        inspect(image(tar({"a": "x", "b": "x"})), progress=said.append)
        assert said == ["search:1.0 layer 1: 1 files read", "search:1.0 layer 1: 2 files read"]

    def test_a_layer_full_of_secrets_is_no_flood(self, inspect, monkeypatch):
        monkeypatch.setattr("recast_dm.capsule.gates.contents.MOST_FILES", 2)
        assert len(inspect(image(tar({f"f{n}": LINE for n in range(50)}))).secrets) == 20
