"""What commands and scripts say that they need from elsewhere: by their words, for nothing is started."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from recast_dm.model import Command, DockerEnvironment, Script, StepSpec

NETWORK_FILE_SYSTEMS = ("/afs/", "/eos/", "/cvmfs/")
MOUNTED = ("/workdir", "/inputs", "/scratch", "/tmp", "/dev", "/proc")  # noqa: S108  # the container's
"""What every container has, whatever its image."""

_FETCHES = re.compile(
    r"""(?x) (?<![\w./$-]) (?:
        curl | wget | aria2c | xrdcp | rucio | gfal-copy | globus-url-copy | kinit | voms-proxy-init
        | lsetup | setup[A-Z]{3,} | scp | rsync
        | git\s+(?:clone|fetch|pull|submodule\s+update)
        | pip3?\s+(?:install|download) | python[\d.]*\s+-m\s+pip\s+(?:install|download)
        | (?:conda|mamba|micromamba)\s+(?:install|create|update|env\s+create)
        | (?:apt|apt-get|yum|dnf|apk|microdnf)\s+(?:-\w+\s+)*(?:install|update|add)
        | (?:docker|podman)\s+(?:pull|run)
    ) (?![\w=./-])"""
)
_ADDRESS = re.compile(r"""(?i)(?<![\w])(?:https?|ftp|root|xroot|davs?|gsiftp|srm|s3|gs)://[^\s"'`)>;]+""")
_HOST = re.compile(r"""(?<![\w}.:/$~-])/(?:afs|eos|cvmfs|pnfs|lustre|nfs|home|Users|data)/[\w.+~@%/-]*""")
_PROGRAM = re.compile(
    r"(?m)(?:^\s*|[;&|(]\s*|(?<![\w./-])(?:python[\d.]*|bash|sh|zsh|source|exec|time)\s+|(?:^|[;&|])\s*\.\s+)"
    r"(/[\w.+-]+(?:/[\w.+-]+)+)(?=[\s;&|)]|$)"
)
_COMMENT = re.compile(r"(?m)^\s*#.*$")
_SHELLS = re.compile(rb"#!\s*\S*(?:/|env\s+)(?:ba|da|z|k)?sh\b")


def texts(spec: StepSpec) -> Iterator[str]:
    """What a step gives to a shell or an interpreter."""
    if isinstance(spec.environment, DockerEnvironment) and spec.environment.envscript:
        yield spec.environment.envscript
    if isinstance(spec.process, Command):
        yield spec.process.cmd.text
    elif isinstance(spec.process, Script):
        yield spec.process.script.text


def network(said: str) -> tuple[str, ...]:
    """The programs that fetch, and the addresses, that a text names outside comments.

    >>> network("pip install pyhf && root -b -q root://eos.example//x.root; tar x wget.tar")
    ('pip install', 'root://eos.example//x.root')
    """
    code = _COMMENT.sub("", said)
    local = re.sub(r"--no-index\b", "", code) != code
    found = [" ".join(each.split()) for each in _FETCHES.findall(code)]
    programs = [each for each in found if not (local and "pip" in each)]
    return tuple(dict.fromkeys([*programs, *_ADDRESS.findall(code)]))


def is_address(value: str) -> bool:
    """Whether a value is the address of a file on a server."""
    return _ADDRESS.match(value) is not None


def host_paths(said: str) -> tuple[str, ...]:
    """The paths of file systems that machines of ours have and containers do not.

    >>> host_paths("source /cvmfs/sw.example/setup.sh; ls {workdir}/data/x /usr/data")
    ('/cvmfs/sw.example/setup.sh',)
    """
    return tuple(dict.fromkeys(_HOST.findall(_COMMENT.sub("", said))))


def programs(said: str) -> tuple[str, ...]:
    """The programs and scripts that a text starts by their absolute paths.

    >>> programs("source /opt/setup.sh && python3 /code/fit.py --out /workdir/x")
    ('/opt/setup.sh', '/code/fit.py')
    """
    return tuple(dict.fromkeys(_PROGRAM.findall(_COMMENT.sub("", said))))


def is_shell(name: str, data: bytes) -> bool:
    """Whether a file is a shell script: by its name, or by its first line."""
    return PurePosixPath(name).suffix in (".sh", ".bash", ".zsh") or _SHELLS.match(data) is not None
