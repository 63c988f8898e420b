"""Bills of materials: what the records of packages say, in documents that CycloneDX's own schema accepts."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import struct
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from layertars import image, tar

from recast_dm.capsule.gates import rpm, sbom
from recast_dm.capsule.gates.packages import Package, Records, is_record
from recast_dm.capsule.gates.sbom import Materials

STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Description: a shell
 Version: of a description

Package: gone
Status: deinstall ok config-files
Version: 1.0

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2:2.36-9
"""
METADATA = """\
Metadata-Version: 2.1
Name: Awkward_Array
Version: 2.6.1
License: BSD-3-Clause

Name: of the description
"""


def records(**files: str | bytes) -> Records:
    made = Records()
    for name, data in files.items():
        made.add(name, data.encode() if isinstance(data, str) else data)
    return made


def say(name: str, data: str | bytes) -> tuple[Package, ...]:
    made = records(**{name: data})
    assert made.unread == {}
    return made.packages[name]


# --- rpm's headers, made as rpm's own library lays them out ----------------------------------------------------------


def rpm_header(**tags: object) -> bytes:
    numbers = {
        "name": 1000,
        "version": 1001,
        "release": 1002,
        "epoch": 1003,
        "license": 1014,
        "arch": 1022,
        "dirindexes": 1116,
        "basenames": 1117,
        "dirnames": 1118,
    }
    entries, data = [], b""
    for name, value in tags.items():
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(values[0], int):
            data += b"\0" * (-len(data) % 4)
            entries.append((numbers[name], 4, len(data), len(values)))
            data += struct.pack(f">{len(values)}i", *values)
        else:
            entries.append((numbers[name], 8 if isinstance(value, tuple) else 6, len(data), len(values)))
            data += b"".join(str(each).encode() + b"\0" for each in values)
    return struct.pack(">II", len(entries), len(data)) + b"".join(struct.pack(">IIiI", *e) for e in entries) + data


def rpm_database(path: Path, *headers: bytes) -> bytes:
    """As rpm leaves it: with a write-ahead log, put back into the database."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
    connection.executemany("INSERT INTO Packages (blob) VALUES (?)", [(each,) for each in headers])
    connection.commit()
    connection.close()
    return path.read_bytes()


ROOT = rpm_header(
    name="root",
    version="6.30.04",
    release="1.el9",
    epoch=1,
    license="LGPLv2+",
    arch="x86_64",
    dirindexes=(0, 0, 1),
    basenames=("root", "rootcint", "libCore.so"),
    dirnames=("/usr/bin/", "/usr/lib64/"),
)


class TestRecords:
    def test_dpkg_names_what_is_installed(self):
        found = say("var/lib/dpkg/status", STATUS)
        assert [(each.name, each.version) for each in found] == [("bash", "5.2.15-2+b7"), ("libc6", "2:2.36-9")]

    def test_distroless_has_a_file_for_each_package(self):
        files = {
            "var/lib/dpkg/status.d/base": "Package: base-files\nVersion: 12\nArchitecture: amd64\n",
            "var/lib/dpkg/status.d/base.md5sums": "0123  etc/motd\n",
        }
        made = records(**files)
        assert [p.name for each in made.packages.values() for p in each] == ["base-files"]
        assert "etc/motd" in made.owned

    def test_dpkg_lists_own_files_also_where_bin_is_a_link(self):
        made = records(**{"var/lib/dpkg/info/bash.list": "/.\n/bin/bash\n/etc/bash.bashrc\n"})
        assert all(name in made.owned for name in ("bin/bash", "usr/bin/bash", "etc/bash.bashrc"))
        assert "bin/zsh" not in made.owned

    def test_python_names_and_owns(self):
        top = "opt/venv/lib/python3.11/site-packages"
        made = records(
            **{
                f"{top}/awkward-2.dist-info/METADATA": METADATA,
                f"{top}/awkward-2.dist-info/RECORD": 'awkward/a.py,,1\n../../../bin/awk,,\n"with, comma.py",,\n',
            }
        )
        (package,) = made.packages[f"{top}/awkward-2.dist-info/METADATA"]
        assert package == Package("pypi", "Awkward_Array", "2.6.1", (), ("BSD-3-Clause",))
        assert all(n in made.owned for n in (f"{top}/awkward/a.py", "opt/venv/bin/awk", f"{top}/with, comma.py"))

    def test_conda_names_and_owns(self):
        document = {
            "name": "root_base",
            "version": "6.30.4",
            "build": "py311_0",
            "channel": "https://conda.example/conda-forge/linux-64",
            "subdir": "linux-64",
            "license": "LGPL-2.1-only",
            "files": ["bin/root"],
        }
        made = records(**{"opt/conda/conda-meta/root_base-6.30.4.json": json.dumps(document)})
        (package,) = made.packages["opt/conda/conda-meta/root_base-6.30.4.json"]
        url = sbom.purl(package, {}).to_string()
        assert url == "pkg:conda/root-base@6.30.4?build=py311_0&channel=conda-forge&subdir=linux-64".replace("-b", "_b")
        assert "opt/conda/bin/root" in made.owned

    def test_rpm_names_and_owns(self, tmp_path):
        key = rpm_header(name="gpg-pubkey", version="1", release="1")
        made = records(**{"var/lib/rpm/rpmdb.sqlite": rpm_database(tmp_path / "db", ROOT, key)})
        (package,) = made.packages["var/lib/rpm/rpmdb.sqlite"]
        assert package == Package("rpm", "root", "6.30.04-1.el9", (("arch", "x86_64"), ("epoch", "1")), ("LGPLv2+",))
        url = sbom.purl(package, {"ID": "almalinux", "VERSION_ID": "9.3"}).to_string()
        assert url == "pkg:rpm/almalinux/root@6.30.04-1.el9?arch=x86_64&distro=almalinux-9.3&epoch=1"
        assert all(name in made.owned for name in ("usr/bin/root", "usr/bin/rootcint", "usr/lib64/libCore.so"))

    @pytest.mark.parametrize(
        "name", ["var/lib/rpm/rpmdb.sqlite", "opt/conda/conda-meta/x.json", "x/a.dist-info/METADATA", "etc/os-release"]
    )
    @given(data=st.binary(max_size=500))
    def test_a_damaged_record_is_told_and_stops_nothing(self, name, data):
        assert is_record(name)
        records(**{name: data})

    @given(st.data())
    def test_a_damaged_header_is_told(self, data):
        blob = bytearray(ROOT)
        for _ in range(3):
            blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(ValueError):
            rpm._tags(bytes(blob))

    def test_a_record_that_is_too_large_is_told(self, monkeypatch):
        monkeypatch.setattr("recast_dm.capsule.gates.packages.LARGEST", 10)
        assert "more than 10 bytes" in records(**{"var/lib/dpkg/status": STATUS}).unread["var/lib/dpkg/status"]


def document(*found: tuple[Package, str], unread: dict[str, str] | None = None) -> bytes:
    materials = Materials(packages=found, unread=unread or {}, release={"ID": "debian", "VERSION_ID": "12"})
    return sbom.document(image(tar({"a": "x"})).image, materials)


def valid(data: bytes) -> bool:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None


class TestDocument:
    def test_it_is_valid_and_says_what_is_there(self):
        data = document(
            (Package("deb", "bash", "5.2", (("arch", "amd64"),)), "var/lib/dpkg/status"),
            (Package("pypi", "numpy", "2.1", (), ("BSD-3-Clause AND MIT",)), "a/numpy-2.1.dist-info/METADATA"),
            (Package("pypi", "numpy", "2.1", (), ("some licence", "MIT")), "b/numpy-2.1.dist-info/METADATA"),
            unread={"var/lib/rpm/Packages": "an rpm database in Berkeley DB format"},
        )
        assert valid(data)
        written = json.loads(data)
        assert [each["name"] for each in written["components"]].count("numpy") == 2
        assert "timestamp" not in written["metadata"]
        assert any(each["name"] == "recast-dm:not-read" for each in written["metadata"]["component"]["properties"])

    def test_a_broken_one_is_not_valid(self):
        assert not valid(document().replace(b'"type": "container"', b'"type": "house"'))

    def test_it_is_the_same_each_time_whatever_the_order(self):
        found = [(Package("deb", name, "1"), "var/lib/dpkg/status") for name in "cab"]
        assert document(*found) == document(*reversed(found))

    @given(
        st.lists(
            st.builds(
                Package,
                st.sampled_from(["deb", "rpm", "pypi", "conda"]),
                st.text(min_size=1),
                st.text(),
                st.just(()),
                st.lists(st.text(), max_size=3).map(tuple),
            ),
            max_size=4,
        )
    )
    def test_whatever_records_say_it_is_valid(self, found):
        assert valid(document(*((package, "x") for package in found)))
