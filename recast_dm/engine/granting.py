"""What the relaxations of a step give its container: places of this machine, credentials, a network, processors.

Places are shown read-only, at their own names. Credentials are the user's own: a copy is made where the container's
user is another, and is there as long as the container runs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
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
    """What a job gets: `files` are mounted read-only (source, target), `env` says where credentials are.

    `warnings` tell what was asked for and is not here: many a specification asks for more than its commands use.
    """

    network: bool = False
    gpus: bool = False
    files: tuple[tuple[Path, str], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Credential:
    what: str
    held: Callable[[], Path | None]
    variable: str
    prefix: str
    settings: str
    hint: str


_CREDENTIALS = {
    "kerberos": _Credential(
        "Kerberos ticket in a file",
        config.kerberos_ticket,
        "KRB5CCNAME",
        "FILE:",
        "/etc/krb5.conf",
        "`KRB5CCNAME=FILE:/tmp/krb5cc kinit` gets one, for commands with that variable",
    ),
    "voms_proxy": _Credential(
        "VOMS proxy",
        config.voms_proxy,
        "X509_USER_PROXY",
        "",
        "/etc/grid-security",
        "`voms-proxy-init --voms EXPERIMENT` gets one",
    ),
}
_CVMFS = Path("/cvmfs")


def granted(step: Step, attempt: Path, user: tuple[int, int]) -> Granted:
    """What a step gets. Raises ToolMissing for a place that recast.yml names and this machine does not have."""
    asked = [name.removeprefix(RESOURCE) for name in step.relaxations if name.startswith(RESOURCE)]
    files, env, warnings = [*_places(step)], {}, []
    if "cvmfs" in asked:
        if _CVMFS.is_dir():
            files.append((_CVMFS, str(_CVMFS)))
        else:
            warnings.append(f"{step.id} asks for {_CVMFS}, which is not on this machine")
    for name, credential in _CREDENTIALS.items():
        if name in asked and (held := credential.held()) is not None:
            files.append((_readable(held, attempt, user), f"{_INSIDE}/{name}"))
            files += [(Path(each), each) for each in (credential.settings,) if Path(each).exists()]
            env[credential.variable] = f"{credential.prefix}{_INSIDE}/{name}"
        elif name in asked:
            warnings.append(f"{step.id} asks for a {credential.what}, and you have none: {credential.hint}")
    return Granted(NETWORK in step.relaxations, "gpu" in asked, tuple(files), env, tuple(warnings))


def _places(step: Step) -> Iterator[tuple[Path, str]]:
    """The places of this machine that recast.yml names."""
    for name in step.relaxations:
        if name.startswith(MOUNT):
            path = name.removeprefix(MOUNT)
            if not Path(path).exists():
                raise ToolMissing(f"the step {step.id} needs {path}, which is not on this machine")
            yield Path(path), path


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
