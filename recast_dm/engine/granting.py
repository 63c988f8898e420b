"""What the relaxations of a step give its container: places of this machine, credentials, a network, processors.

Places are shown read-only, at their own names. Credentials are the user's own: a copy is made where the container's
user is another, and is there as long as the container runs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recast_dm import config
from recast_dm.errors import ToolMissing
from recast_dm.model import Step
from recast_dm.spec.relaxations import MOUNT, NETWORK, RESOURCE

CREDENTIALS = "credentials"
"""Where copies lie, in the directory of an attempt."""
_INSIDE = "/etc/recast-dm"


@dataclass(frozen=True, slots=True)
class Granted:
    """What a job gets: `files` are mounted read-only (source, target), `env` says where credentials are."""

    network: bool = False
    gpus: bool = False
    files: tuple[tuple[Path, str], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def granted(step: Step, attempt: Path, user: tuple[int, int]) -> Granted:
    """What a step gets. Raises ToolMissing for what this machine, or its user, does not have."""
    files: list[tuple[Path, str]] = []
    env: dict[str, str] = {}
    for name in step.relaxations:
        files += _places(step, name)
    for resource, credential in _CREDENTIALS.items():
        if f"{RESOURCE}{resource}" in step.relaxations:
            files.append((_readable(_held(step, credential), attempt, user), f"{_INSIDE}/{resource}"))
            env[credential.variable] = f"{credential.prefix}{_INSIDE}/{resource}"
    return Granted(NETWORK in step.relaxations, f"{RESOURCE}gpu" in step.relaxations, tuple(files), env)


@dataclass(frozen=True, slots=True)
class _Credential:
    what: str
    variable: str
    prefix: str
    hint: str


_CREDENTIALS = {
    "kerberos": _Credential(
        "Kerberos ticket",
        "KRB5CCNAME",
        "FILE:",
        "`kinit` gets one; it must lie in a file: KRB5CCNAME=FILE:/tmp/krb5cc_…",
    ),
    "voms_proxy": _Credential("VOMS proxy", "X509_USER_PROXY", "", "`voms-proxy-init --voms EXPERIMENT` gets one"),
}


def _places(step: Step, relaxation: str) -> Iterator[tuple[Path, str]]:
    """The places of this machine that a relaxation shows."""
    if relaxation.startswith(MOUNT):
        path = relaxation.removeprefix(MOUNT)
        if not Path(path).exists():
            raise ToolMissing(f"the step {step.id} needs {path}, which is not on this machine")
        yield Path(path), path
    elif relaxation == f"{RESOURCE}cvmfs":
        if not Path("/cvmfs").is_dir():
            hint = "mount CVMFS (cvmfs.readthedocs.io), or put what it takes from there into the image"
            raise ToolMissing(f"the step {step.id} needs /cvmfs, which is not on this machine", hint=hint)
        yield Path("/cvmfs"), "/cvmfs"
    settings = {f"{RESOURCE}kerberos": "/etc/krb5.conf", f"{RESOURCE}voms_proxy": "/etc/grid-security"}.get(relaxation)
    if settings is not None and Path(settings).exists():
        yield Path(settings), settings


def _held(step: Step, credential: _Credential) -> Path:
    found = config.kerberos_ticket() if credential.variable == "KRB5CCNAME" else config.voms_proxy()
    if found is None:
        raise ToolMissing(f"the step {step.id} needs a {credential.what}, and you have none", hint=credential.hint)
    return found


def _readable(credential: Path, attempt: Path, user: tuple[int, int]) -> Path:
    """A credential that the container's user reads, and nobody else."""
    if os.geteuid() != 0:
        return credential
    place = attempt / CREDENTIALS
    place.mkdir(mode=0o700, exist_ok=True)
    copy = place / credential.name
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "wb") as out, credential.open("rb") as own:
        shutil.copyfileobj(own, out)
    os.chown(copy, *user)
    return copy
