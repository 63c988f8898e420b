"""The base that every image here shares: Python from Debian packages, made without an engine and without a registry.

The same packages become the same bytes. Their versions are not locked: after a security update of Debian's, a base that
is made anew is another one. One that is here already stays.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from containers.assembler.saying import demand_space, last_words, logged, say
from containers.assembler.trees import EPOCH
from recast_dm import config, store
from recast_dm.errors import IntegrityError, RecastError, ToolMissing
from recast_dm.images import layout, platforms
from recast_dm.images.blobs import Blobs, Layer
from recast_dm.images.layout import Stored
from recast_dm.images.sources import FromRegistry

SUITE = "bookworm"
REFERENCE = f"recast-dm/python:3.11-{SUITE}"
FALLBACK = f"python:3.11-slim-{SUITE}"
LABEL = "org.recast-dm.recipe"
PULLED = "pulled-"
"""Before the recipe of a base that was pulled: it is not the same bytes as a made one."""
CREATED = "2025-01-01T00:00:00Z"
PACKAGES = ("mmdebstrap", "debian-archive-keyring")
ARGUMENTS = (
    "--variant=minbase",
    "--include=python3-minimal,python3,ca-certificates",
    '--aptopt=Acquire::Languages "none"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    '--customize-hook=rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/etc/hostname "$1"/etc/resolv.conf',
    SUITE,
)
"""No documentation, translations, caches or logs; copyright files stay."""
ENV = ("LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def recipe() -> str:
    """What the base is made of, as a digest."""
    return store.digest([ARGUMENTS, ENV, EPOCH, platforms.here()])


def is_made_by(labels: Mapping[str, Any], wanted: str) -> bool:
    """Whether an image with these labels is the base that is wanted; a pulled one does, too."""
    return str(labels.get(LABEL, "")).removeprefix(PULLED) == wanted


def made(shared: Blobs, temporary: Path, logs: Path) -> Stored:
    """The base from Debian packages, else the one of a registry. Raises ToolMissing when neither is to be had."""
    log = logs / "base.log"
    try:
        return _bootstrapped(shared, temporary, log)
    except ToolMissing as problem:
        say(f"ATTENTION: {problem.message}; asking a registry for {FALLBACK} instead")
        try:
            return _pulled(shared)
        except RecastError as error:
            raise ToolMissing(
                f"there is no base image: {problem.message}, and no registry gives {FALLBACK}: {error.message}",
                hint="make mmdebstrap work (as an ordinary user it needs the package uidmap too):"
                f"\n    apt-get update && apt-get install --yes --no-install-recommends {' '.join(PACKAGES)}"
                f"\nthen repeat your command; the log is {log}",
            ) from None


def _bootstrapped(shared: Blobs, temporary: Path, log: Path) -> Stored:
    _install_mmdebstrap(log)
    say(f"making the base image {REFERENCE} from Debian packages (about half a minute)")
    tar = temporary / "base.tar"
    machine = platforms.here().partition("/")[2]
    words = ("mmdebstrap", f"--architectures={machine}", *ARGUMENTS, str(tar))
    env = {**config.environment(), "SOURCE_DATE_EPOCH": str(EPOCH)}
    if logged(words, log, env) != 0:
        raise ToolMissing(f"mmdebstrap could not make the base image: {last_words(log)}")
    layer = shared.add_layer(lambda: tar.open("rb"))
    tar.unlink()
    return stored(shared, [layer], {"Env": [*ENV], "Cmd": ["python3"], "Labels": {LABEL: recipe()}})


def _install_mmdebstrap(log: Path) -> None:
    if shutil.which("mmdebstrap"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get") or not Path("/etc/debian_version").exists():
        raise ToolMissing("mmdebstrap, which makes the base image from Debian packages, is not installed")
    say(f"making the base image takes mmdebstrap; installing the Debian packages {' '.join(PACKAGES)}")
    env = {**config.environment(), "DEBIAN_FRONTEND": "noninteractive"}
    install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES)
    for words in (("apt-get", "update", "-qq"), install):
        if logged(words, log, env) != 0:
            demand_space(log)
            raise ToolMissing(f"mmdebstrap could not be installed: {last_words(log)}")


def _pulled(shared: Blobs) -> Stored:
    found = FromRegistry().take([FALLBACK], shared).get(FALLBACK)
    if found is None:
        raise IntegrityError(f"no registry has {FALLBACK}")
    settings = dict(found.config.get("config") or {})
    settings["Labels"] = {**(settings.get("Labels") or {}), LABEL: f"{PULLED}{recipe()}"}
    return stored(shared, found.layers, settings, platform=found.image.platform)


def stored(
    shared: Blobs,
    layers: list[Layer] | tuple[Layer, ...],
    settings: Mapping[str, Any],
    *,
    reference: str = REFERENCE,
    platform: str | None = None,
) -> Stored:
    """An image of layers that are kept in `shared`, with its config: nothing in it says who made it, or when."""
    system, name, *variant = (platform or platforms.here()).split("/")
    document = {
        "architecture": name,
        "os": system,
        **({"variant": variant[0]} if variant else {}),
        "created": CREATED,
        "config": dict(settings),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": CREATED, "created_by": "recast-dm containers/assembler"} for _ in layers],
    }
    content = store.canonical(document)
    shared.add(content)
    return layout.stored(reference, content, layers)
