"""Who owns a file: a Debian package, a Python distribution, an interpreter, the machine, a person; or nobody.

What has an owner comes into an image by the owner's name. The rest has to be copied, but for secrets: those never are.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from recast_dm.capsule.tracing.commands import Kind

Owned = Literal["package", "distribution", "interpreter", "machine", "personal", "secret", "nobody"]
SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "rbash"})
WRAPPERS = frozenset({"env", "nice", "ionice", "nohup", "time", "timeout", "stdbuf", "setsid", "taskset", "chrt"})
CODE = frozenset(
    {
        ".py",
        ".pyc",
        ".pyx",
        ".sh",
        ".bash",
        ".pl",
        ".pm",
        ".rb",
        ".r",
        ".jl",
        ".lua",
        ".awk",
        ".sed",
        ".jar",
        ".so",
        ".c",
    }
    | {".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".js", ".mk", ".ipynb"}
)


@dataclass(frozen=True, slots=True)
class Owner:
    kind: Owned
    name: str = ""
    version: str = ""
    direct: bool = False
    """A distribution that was not installed from an index: its name alone does not bring it back."""


# --- what is executed ------------------------------------------------------------------------------------------------


def head(path: str, size: int = 256) -> bytes:
    """The first bytes of a file; none of what cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(size)
    except OSError:
        return b""


def kind(program: str) -> Kind:
    """What runs an executable file: a shell, something that becomes what it starts, or the file itself.

    >>> kind("/bin/sh")
    'shell'
    """
    if "shims" in Path(program).parts:  # of a version manager: a script that stands for a program
        return "program"
    name = Path(program).name
    line = head(program).partition(b"\n")[0]
    if line.startswith(b"#!"):
        interpreter = line[2:].decode("utf-8", "replace").split()
        name = Path(interpreter[0]).name if interpreter else "sh"
    return "shell" if name in SHELLS else "wrapper" if name in WRAPPERS else "program"


def interpreter(script: str) -> str | None:
    """What the first line of a script names, found as `env` finds it."""
    line = head(script).partition(b"\n")[0]
    words = line[2:].decode("utf-8", "replace").split() if line.startswith(b"#!") else []
    if len(words) > 1 and Path(words[0]).name == "env":
        return shutil.which(next((word for word in words[1:] if not word.startswith("-")), ""))
    return words[0] if words else None


def is_code(path: str) -> bool:
    """Whether a file is a part of the software, going by its name and its first bytes."""
    if Path(path).suffix.lower() in CODE or re.search(r"\.so(\.\d+)+$", path):
        return True
    return head(path, 4).startswith((b"#!", b"\x7fELF"))


# --- who owns --------------------------------------------------------------------------------------------------------

_MACHINE = (
    "/proc/",
    "/sys/",
    "/dev/",
    "/run/",
    "/etc/",
    "/var/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/lib64/",
    "/usr/",
    "/boot/",
)
_SETTINGS = ("/usr/share/locale/", "/usr/lib/locale/", "/etc/locale.alias", "/usr/share/zoneinfo/")
"""What every program looks at, whatever it does: not worth a package."""
_SITE = re.compile(r"(.*/(?:site|dist)-packages)(?:/.*)?")
_PYTHON = re.compile(r"python(\d+\.\d+)")
_SECRET_NAMES = re.compile(
    r"\.netrc|\.git-credentials|\.pypirc|\.npmrc|\.htpasswd|\.pgpass|\.env(\..*)?|id_(rsa|dsa|ecdsa|ed25519)|"
    r"credentials(\..*)?|secrets?(\..*)?|.*tokens?(\.(txt|json))?|x509up_u.*|krb5cc.*|.*\.(pem|key|p12|pfx|jks|kdbx|keytab|gpg)",
    re.IGNORECASE,
)
_SECRET_PLACES = frozenset({".ssh", ".gnupg", ".aws", ".kube", ".globus", ".docker", ".password-store", ".azure"})
SECRET_VARIABLE = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|PRIVATE|APIKEY|_KEY$|^KEY$|AUTH|COOKIE", re.IGNORECASE
)


def is_secret(path: str) -> bool:
    """Whether a file, by its name or place, is of the kind that is never copied.

    >>> is_secret("/home/ada/.ssh/config"), is_secret("/here/host.pem"), is_secret("/here/data.csv")
    (True, True, False)
    """
    place = Path(path)
    return bool(_SECRET_NAMES.fullmatch(place.name)) or not _SECRET_PLACES.isdisjoint(place.parts)


@dataclass
class Machine:
    """This machine, as its package databases describe it. `dpkg` is where dpkg keeps its own."""

    home: str
    dpkg: Path = Path("/var/lib/dpkg")
    prefixes: dict[str, str] = field(default_factory=dict)
    """Where interpreters lie that no package owns, with their versions."""
    _sites: dict[str, dict[str, Owner]] = field(default_factory=dict)

    def learn(self, programs: Iterable[str]) -> None:
        """Looks for Python interpreters, and the virtual environments that stand for them, among programs."""
        for program in dict.fromkeys(programs):
            place = Path(program)
            real = place.resolve()
            if (place.parent.parent / "pyvenv.cfg").is_file():
                self.prefixes[str(place.parent.parent)] = ""
            found = _PYTHON.fullmatch(real.name)
            prefix = real.parent.parent
            if found and (prefix / "lib" / real.name / "os.py").is_file() and not self._package(str(real)):
                root = prefix.parent.parent if prefix.parent.name == "versions" else prefix
                self.prefixes[str(root)] = found[1]

    def owner(self, path: str) -> Owner:
        """Who owns a file, going by its absolute name."""
        real = str(Path(path).resolve())
        for name in dict.fromkeys((path, real)):
            if name.startswith(_SETTINGS):
                return Owner("machine")
            if owner := self._package(name) or self._distribution(name):
                return owner
        for name in (path, real):
            for prefix, version in self.prefixes.items():
                if name.startswith(f"{prefix}/"):
                    return Owner("interpreter", prefix, version)
        if real.startswith(_MACHINE) and not real.startswith("/usr/local/"):
            return Owner("machine")
        if is_secret(path) or is_secret(real):
            return Owner("secret")
        inside = real.removeprefix(f"{self.home.rstrip('/')}/")
        return Owner("personal") if inside != real and inside.startswith(".") else Owner("nobody")

    @property
    def has_packages(self) -> bool:
        return (self.dpkg / "status").is_file()

    # --- dpkg --------------------------------------------------------------------------------------------------------

    @cached_property
    def _files(self) -> Mapping[str, str]:
        """Every file of every package."""
        found = {}
        for listing in sorted((self.dpkg / "info").glob("*.list")):
            package = listing.name.removesuffix(".list").partition(":")[0]
            for name in listing.read_text("utf-8", "surrogateescape").splitlines():
                found[name] = package
        return found

    @cached_property
    def packages(self) -> Mapping[str, Mapping[str, str]]:
        """What dpkg knows of each package: Version, Priority, Depends, ..."""
        found = {}
        try:
            text = (self.dpkg / "status").read_text("utf-8", "replace")
        except OSError:
            return {}
        for paragraph in text.split("\n\n"):
            fields = dict(re.findall(r"^([\w-]+): *(.*)$", paragraph, re.MULTILINE))
            if "Package" in fields:
                found[fields["Package"]] = fields
        return found

    def _package(self, path: str) -> Owner | None:
        merged = path.removeprefix("/usr") if path.startswith("/usr/") else f"/usr{path}"
        name = self._files.get(path) or self._files.get(merged)
        return Owner("package", name, self.packages.get(name, {}).get("Version", "")) if name else None

    # --- Python distributions ----------------------------------------------------------------------------------------

    def _distribution(self, path: str) -> Owner | None:
        found = _SITE.fullmatch(path)
        place = Path(path)
        sites = [found[1]] if found else []
        if not found and place.parent.name == "bin":
            sites = [str(site) for site in place.parent.parent.glob("lib/python3*/*-packages")]
        return next((owner for site in sites if (owner := self._site(site).get(source(path)))), None)

    def _site(self, site: str) -> Mapping[str, Owner]:
        """Every file of the distributions in a directory of them."""
        if site not in self._sites:
            owned: dict[str, Owner] = {}
            for record in sorted(Path(site).glob("*.dist-info/RECORD")):
                owner = _described(record.parent)
                with record.open(encoding="utf-8", newline="") as file:
                    for row in csv.reader(file):
                        if row:
                            owned[_normal(f"{site}/{row[0]}")] = owner
                owned.update({str(path): owner for path in record.parent.iterdir()})
            self._sites[site] = owned
        return self._sites[site]


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


_PYC = re.compile(r"(.*/)__pycache__/([^/]+?)\.(?:cpython|pypy)[^/]*\.pyc")


def source(path: str) -> str:
    """The source of a compiled Python module; any other file is its own.

    >>> source("/here/__pycache__/fit.cpython-311.pyc")
    '/here/fit.py'
    """
    found = _PYC.fullmatch(path)
    return f"{found[1]}{found[2]}.py" if found else path


def is_startup(path: str) -> bool:
    """Whether Python looks at a file of a distribution by itself, when it starts: nobody asked for the distribution."""
    return path.endswith(".pth") or ".dist-info/" in path or "/_distutils_hack/" in path


def _described(information: Path) -> Owner:
    """The distribution that a .dist-info directory describes."""
    name, _, version = information.name.removesuffix(".dist-info").rpartition("-")
    try:
        text = (information / "METADATA").read_text("utf-8", "replace").partition("\n\n")[0]
        fields = dict(re.findall(r"^([\w-]+): *(.*)$", text, re.MULTILINE))
        name, version = fields.get("Name", name), fields.get("Version", version)
        json.loads((information / "direct_url.json").read_text("utf-8"))
    except (OSError, ValueError):
        return Owner("distribution", name, version)
    return Owner("distribution", name, version, direct=True)
