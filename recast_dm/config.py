"""The only reader of the environment and of the machine: where things lie, and who we are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import uuid4

UNPRIVILEGED_UID = 64077
"""The uid that containers get when the caller is root: no account has it, so it owns nothing but its step's files."""

RUNS = Path("build") / "runs"
"""Where runs go that are given no place."""
RECAST_CATALOGUES = "RECAST_ATLAS_CATALOGUE"
"""RECAST's own variable: directories with entries of its catalogue, a colon between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReanaServer:
    """A REANA server, and the token that it knows the user by. The token is a secret: no text shows it.

    >>> ReanaServer(url="https://reana.example.org", token="secret")
    ReanaServer(url='https://reana.example.org')
    """

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """What the environment says. Made once by the command line and handed down."""

    cache_dir: Path
    runtime: str
    jobs: int
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets by host, for specifications that are not public."""
    catalogue: Path = Path("catalogue.json")
    """The user's own catalogue."""
    recast_catalogues: tuple[Path, ...] = ()
    """Directories with entries of RECAST's catalogue."""
    curves: Path = Path("curves.json")
    """The user's own limit curves."""
    models: Path = Path("models")
    """The directory of the user's own signal models."""
    reana: ReanaServer | None = None
    """Where workflows are submitted to; None unless both of reana-client's own variables say so."""
    reana_workon: str | None = None
    """The workflow there that verbs mean which are given none (reana-client's own variable)."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Flags > RECAST_DM_* > XDG defaults.

        >>> Config.from_environment({"HOME": "/home/ada"}).cache_dir
        PosixPath('/home/ada/.cache/recast-dm')
        >>> Config.from_environment({"RECAST_DM_CACHE_DIR": "/scratch/c"}).cache_dir
        PosixPath('/scratch/c')
        """
        env = os.environ if environ is None else environ
        cache_home = env.get("XDG_CACHE_HOME") or str(Path(env.get("HOME") or "/") / ".cache")
        cache_dir = Path(env.get("RECAST_DM_CACHE_DIR") or Path(cache_home) / "recast-dm")
        token = env.get("YADAGE_SCHEMA_LOAD_TOKEN")  # yadage's own name for it
        tokens = {"gitlab.cern.ch": token} if token else {}
        config_home = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME") or "/") / ".config")
        catalogue = Path(env.get("RECAST_DM_CATALOGUE") or Path(config_home) / "recast-dm" / "catalogue.json")
        recast = tuple(Path(each).absolute() for each in env.get(RECAST_CATALOGUES, "").split(":") if each)
        curves = Path(env.get("RECAST_DM_CURVES") or Path(config_home) / "recast-dm" / "curves.json")
        models = Path(env.get("RECAST_DM_MODELS") or Path(config_home) / "recast-dm" / "models")
        runtime = env.get("RECAST_DM_RUNTIME") or "auto"
        return cls(
            cache_dir.absolute(),
            runtime,
            processors(),
            tokens,
            catalogue.absolute(),
            recast,
            curves.absolute(),
            models.absolute(),
            _reana(env),
            env.get("REANA_WORKON") or None,
        )

    def writable_cache(self, told: Callable[[str], object] = lambda _: None) -> Path | None:
        """The directory of caches, where it can be written; else `told` hears why not."""
        from recast_dm import store
        from recast_dm.errors import RecastError

        try:
            place = store.make_directory(self.cache_dir)
        except RecastError as error:
            told(error.message)
            return None
        if os.access(place, os.W_OK):
            return place
        told(f"{place} is not writable")
        return None


def _reana(env: Mapping[str, str]) -> ReanaServer | None:
    url, token = env.get("REANA_SERVER_URL"), env.get("REANA_ACCESS_TOKEN")
    return ReanaServer(url=url.strip(), token=token.strip()) if url and token else None


def registry_login(host: str) -> str | None:
    """What `docker login` has kept for a registry, as HTTP's basic authentication has it (base64 of NAME:PASSWORD).

    Logins that docker keeps in a helper of the system are not looked at.
    """
    home = os.environ.get("DOCKER_CONFIG") or Path(os.environ.get("HOME") or "/") / ".docker"
    try:
        known = json.loads((Path(home) / "config.json").read_text(encoding="utf-8"))["auths"]
        return next(str(known[name]["auth"]) for name in (host, f"https://{host}") if name in known)
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return None


def run_directory(given: Path | None) -> Path:
    """The run directory: the given one, or a new name below build/runs."""
    return given or RUNS / f"{datetime.now().astimezone():%Y%m%dT%H%M%S}-{uuid4().hex[:6]}"


def link_latest(directory: Path) -> None:
    """Points build/runs/latest at a run directory of ours that exists."""
    if directory.parent == RUNS and directory.is_dir():
        link = RUNS / f".latest.{uuid4().hex}"
        link.symlink_to(directory.name)
        link.replace(RUNS / "latest")


def environment() -> dict[str, str]:
    """The whole environment, for processes of this machine that are the user's own."""
    return dict(os.environ)


def processors() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0))


def container_user() -> tuple[int, int]:
    """The uid and gid that a container's processes get: the caller's own, and never root's."""
    uid, gid = os.getuid(), os.getgid()
    return (uid, gid) if uid != 0 else (UNPRIVILEGED_UID, UNPRIVILEGED_UID)


def kerberos_ticket() -> Path | None:
    """The file with the user's Kerberos tickets: KRB5CCNAME, or where MIT's libraries put it."""
    kind, colon, path = os.environ.get("KRB5CCNAME", f"FILE:/tmp/krb5cc_{os.getuid()}").rpartition(":")
    found = Path(path)
    return found if (not colon or kind == "FILE") and found.is_file() else None


def voms_proxy() -> Path | None:
    """The file with the user's VOMS proxy: X509_USER_PROXY, or where voms-proxy-init puts it."""
    found = Path(os.environ.get("X509_USER_PROXY") or f"/tmp/x509up_u{os.getuid()}")  # noqa: S108  # its own place
    return found if found.is_file() else None


def cpu_features() -> dict[str, str]:
    """The processor's name and feature flags: results are byte-identical only where these agree."""
    name, flags = "unknown", ""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and name == "unknown":
                name = value.strip()
            if key.strip() in ("flags", "Features") and not flags:
                flags = value
    except OSError:
        pass
    return {"model": name, "flags": " ".join(sorted(flags.split()))}
