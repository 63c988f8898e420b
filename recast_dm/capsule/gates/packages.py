"""The packages that a layer's own records name: dpkg's, rpm's, conda's, and Python's dist-info.

Each record also says which files it owns; in the layer that brought the record these files are the package's, and
need no look for secrets. A file that a later layer puts in the place of an owned one is somebody's own.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from recast_dm.capsule.gates import rpm
from recast_dm.capsule.gates.layers import Names, plain

LARGEST = 64 * 1024 * 1024
MOST = 100_000
"""Packages of one layer."""

System: TypeAlias = Literal["deb", "rpm", "pypi", "conda"]

_STATUS_D = re.compile(r"var/lib/dpkg/status\.d/[^/]+$")
_DPKG_LIST = re.compile(r"var/lib/dpkg/info/[^/]+\.list$")
_DIST_INFO = re.compile(r".*\.dist-info/(?:METADATA|RECORD)$")
_CONDA = re.compile(r"(?:.*/)?conda-meta/[^/]+\.json$")
_RPM = re.compile(r"(?:var/lib/rpm|usr/lib/sysimage/rpm)/rpmdb\.sqlite$")
_RELEASE = ("etc/os-release", "usr/lib/os-release")
_UNREAD = {
    "var/lib/rpm/Packages": "an rpm database in Berkeley DB format",
    "var/lib/rpm/Packages.db": "an rpm database in ndb format",
    "usr/lib/sysimage/rpm/Packages.db": "an rpm database in ndb format",
    "var/lib/rpm/rpmdb.sqlite-wal": "a log beside an rpm database",
    "usr/lib/sysimage/rpm/rpmdb.sqlite-wal": "a log beside an rpm database",
    "lib/apk/db/installed": "an apk database",
}
_MERGED = ("bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """An installed package. `details` are what else its package URL says; licences are as its record has them."""

    system: System
    name: str
    version: str
    details: tuple[tuple[str, str], ...] = ()
    licences: tuple[str, ...] = ()


@dataclass(slots=True)
class Records:
    """What a layer's records say: the packages by the record's path, the files they own, and what was not read."""

    packages: dict[str, tuple[Package, ...]] = field(default_factory=dict)
    owned: Names = field(default_factory=Names)
    unread: dict[str, str] = field(default_factory=dict)
    release: dict[str, Mapping[str, str]] = field(default_factory=dict)
    count: int = 0

    def add(self, name: str, data: bytes) -> None:
        """Takes in the record at a path. One that cannot be read is told, and stops nothing."""
        if len(data) >= LARGEST:
            self.unread[name] = f"a record of more than {LARGEST} bytes"
            return
        try:
            self._add(name, data)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
            self.unread[name] = f"a damaged record ({type(error).__name__})"

    def _add(self, name: str, data: bytes) -> None:
        if name in _RELEASE:
            self.release[name] = _release(_text(data))
        elif name == "var/lib/dpkg/status" or (_STATUS_D.match(name) and not name.endswith(".md5sums")):
            self._say(name, _dpkg(_text(data)))
        elif name.endswith(".md5sums"):
            self._own("", (line.partition("  ")[2] for line in _text(data).splitlines()))
        elif name.endswith(".list"):
            self._own("", _text(data).splitlines())
        elif name.endswith("/METADATA"):
            self._say(name, _python(_text(data)))
        elif name.endswith("/RECORD"):
            rows = csv.reader(io.StringIO(_text(data)))
            self._own(posixpath.dirname(posixpath.dirname(name)), (row[0] for row in rows if row))
        elif _CONDA.match(name):
            self._conda(name, json.loads(data))
        else:
            found, files = rpm.read(data)
            self._say(name, (_rpm(each) for each in found))
            self._own("", files)

    def _say(self, name: str, packages: Iterable[Package]) -> None:
        found = tuple(packages)
        self.count += len(found)
        if self.count > MOST:
            raise ValueError("too many packages")
        self.packages[name] = found

    def _own(self, top: str, names: Iterable[str]) -> None:
        for each in names:
            owned = plain(each) if each.startswith("/") or not top else _joined(top, each)
            if owned:
                self.owned.add(owned)
                if owned.startswith(_MERGED):
                    self.owned.add(f"usr/{owned}")  # where /bin is a link to /usr/bin, dpkg still says /bin

    def _conda(self, name: str, document: dict[str, Any]) -> None:
        channel = str(document.get("channel") or "").rstrip("/").rpartition("/")
        subdir = str(document.get("subdir") or channel[2])
        shown = channel[0] if channel[2] == subdir else channel[2]
        details = {"build": document.get("build"), "channel": shown.rpartition("/")[2], "subdir": subdir}
        licence = document.get("license")
        package = Package(
            "conda",
            str(document["name"]),
            str(document["version"]),
            tuple(sorted((key, str(value)) for key, value in details.items() if value)),
            (str(licence),) if licence else (),
        )
        self._say(name, (package,))
        self._own(posixpath.dirname(posixpath.dirname(name)), map(str, document.get("files") or ()))


def is_record(name: str) -> bool:
    """Whether a path is that of a record that is read.

    >>> is_record("var/lib/dpkg/status"), is_record("opt/x/numpy-2.0.dist-info/RECORD"), is_record("etc/passwd")
    (True, True, False)
    """
    return (
        name == "var/lib/dpkg/status"
        or name in _RELEASE
        or any(pattern.match(name) for pattern in (_STATUS_D, _DPKG_LIST, _DIST_INFO, _CONDA, _RPM))
    )


def unread(name: str) -> str | None:
    """What a path is the record of, where that cannot be read here."""
    return _UNREAD.get(name)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _joined(top: str, name: str) -> str | None:
    joined = posixpath.normpath(posixpath.join(top, name))
    return None if joined.startswith("..") else plain(joined)


def _release(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    """The paragraphs of dpkg's files; only the first line of each field."""
    for paragraph in re.split(r"\n\s*\n", text):
        lines = (line.partition(":") for line in paragraph.splitlines() if line[:1] not in (" ", "\t"))
        if found := {key: value.strip() for key, colon, value in lines if colon}:
            yield found


def _dpkg(text: str) -> Iterator[Package]:
    for fields in _paragraphs(text):
        state = fields.get("Status", "install ok installed").split()
        if state[-1:] == ["installed"] and fields.get("Package") and fields.get("Version"):
            details = (("arch", fields["Architecture"]),) if fields.get("Architecture") else ()
            yield Package("deb", fields["Package"], fields["Version"], details)


def _python(text: str) -> Iterator[Package]:
    fields: dict[str, str] = {}
    classified = []
    for line in text.splitlines():
        if not line:
            break
        key, _, value = line.partition(": ")
        fields.setdefault(key, value.strip())
        if key == "Classifier" and value.startswith("License :: "):
            classified.append(value.rpartition(" :: ")[2].strip())
    licence = fields.get("License-Expression") or fields.get("License", "")
    known = [licence] if licence and licence != "UNKNOWN" and len(licence) <= 80 else classified
    if fields.get("Name"):
        yield Package("pypi", fields["Name"], fields.get("Version", ""), (), tuple(sorted(set(known))))


def _rpm(header: rpm.Header) -> Package:
    details = {"arch": header.arch, "epoch": str(header.epoch) if header.epoch else ""}
    return Package(
        "rpm",
        header.name,
        f"{header.version}-{header.release}",
        tuple(sorted((key, value) for key, value in details.items() if value)),
        (header.licence,) if header.licence else (),
    )
