"""The Dockerfile of a draft: packages and distributions by name, everything else from the draft's context."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from recast_dm.capsule.tracing.draft import CODE, Draft
from recast_dm.capsule.tracing.provenance import Machine

PIP = '"$(echo /opt/wheels/pip-*.whl)/pip"'


def dockerfile(draft: Draft, machine: Machine, base: str) -> str:
    """The recipe of the image that all steps of a draft run in."""
    wanted = roots({owner.name for owner in draft.owners if owner.kind == "package"}, machine.packages)
    lines = [
        "# Drafted from a traced run: read it, and mend what is wrong. Build it from the directory it lies in:",
        f"#     DOCKER_BUILDKIT=0 docker build --tag {draft.image} .",
        "# with --build-arg BASE=... for another base.",
        f"ARG BASE={base}",
        "FROM ${BASE}",
    ]
    if wanted:
        lines += ["# Programs and libraries of Debian packages, with the versions that were traced:"]
        lines += [f"#   {name} {machine.packages.get(name, {}).get('Version', '')}".rstrip() for name in wanted]
        names = " ".join(wanted)
        lines += [
            f"RUN dpkg --status {names} >/dev/null 2>&1 \\",
            f" || (apt-get update && apt-get install --yes --no-install-recommends {names} \\",
            "     && rm -rf /var/lib/apt/lists/*)",
        ]
    for prefix, version in machine.prefixes.items():
        if version:
            lines += [
                f"# Traced with Python {version} in {prefix}, which no package owns: here it is the python3 of the base"
            ]
    if requirements(draft):
        lines += [
            "# Python distributions. Where the build has no network, put wheels beside requirements.txt first:",
            "#     python3 -m pip download --dest wheels --requirement requirements.txt pip",
            "COPY requirements.txt wheels* /opt/wheels/",
            "RUN if ls /opt/wheels/pip-*.whl >/dev/null 2>&1; then \\",
            f"      python3 {PIP} install --break-system-packages --root-user-action=ignore --no-cache-dir \\",
            "        --no-index --find-links /opt/wheels --requirement /opt/wheels/requirements.txt; \\",
            "    else python3 -m pip install --no-cache-dir --requirement /opt/wheels/requirements.txt; fi \\",
            " && rm -rf /opt/wheels",
        ]
    if draft.outside:
        tops = " ".join(sorted({f"/{path.split('/')[1]}" for path in draft.outside}))
        lines += [
            "# Files that no package owns, at the places where they lay:",
            "COPY context/root/ /",
            f"RUN chmod -R a+rX {tops} && ldconfig"
            if any(_is_library(p) for p in draft.outside)
            else f"RUN chmod -R a+rX {tops}",
        ]
    if draft.code:
        lines += [
            "# Programs of the script's own directory: each step copies those that it needs.",
            f"COPY context/here/ {CODE}/",
        ]
    lines += ["ENV PYTHONDONTWRITEBYTECODE=1", ""]
    return "\n".join(lines)


def _is_library(path: str) -> bool:
    return re.search(r"\.so(\.\d+)*$", path) is not None


def requirements(draft: Draft) -> str:
    """requirements.txt: the distributions that were read. setuptools is only looked at when Python starts."""
    owners = [
        owner for owner in draft.owners if owner.kind == "distribution" and owner.name not in ("setuptools", "pip")
    ]
    return "".join(sorted(f"{owner.name}=={owner.version}\n" for owner in owners))


def roots(names: Collection[str], packages: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The packages that have to be named: neither in every Debian, nor brought along by another one of them.

    >>> roots({"awk", "libc"}, {"awk": {"Depends": "libc (>= 2), x | y"}, "libc": {}})
    ['awk']
    """
    found = set(names)
    for name in sorted(names):
        if name in found:
            found -= _needs(name, packages) - {name}
    return sorted(name for name in found if not _everywhere(packages.get(name, {})))


def _everywhere(package: Mapping[str, str]) -> bool:
    return package.get("Essential") == "yes" or package.get("Priority") == "required"


def _needs(name: str, packages: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Everything that a package depends on, directly or not."""
    seen: set[str] = set()
    open_names = [name]
    while open_names:
        package = packages.get(open_names.pop(), {})
        said = f"{package.get('Depends', '')},{package.get('Pre-Depends', '')}"
        needed = {re.split(r"[ (:|]", each.strip())[0] for each in said.split(",") if each.strip()} - seen
        seen |= needed
        open_names += needed
    return seen


def base(draft: Draft, machine: Machine, release: str) -> str:
    """An image like this machine: with Python where an interpreter was used that no package owns."""
    words = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', release, re.MULTILINE))
    python = next((version for version in machine.prefixes.values() if version), None)
    used = any(owner.kind == "interpreter" for owner in draft.owners)
    debian = words.get("ID") == "debian" and words.get("VERSION_CODENAME", "")
    if python and used:
        return f"python:{python}-slim-{debian}" if debian else f"python:{python}-slim"
    if words.get("ID") in ("debian", "ubuntu") and words.get("VERSION_CODENAME"):
        return f"{words['ID']}:{words['VERSION_CODENAME']}" + ("-slim" if debian else "")
    return "debian:stable-slim"


def release() -> str:
    """What this machine says it is."""
    try:
        return Path("/etc/os-release").read_text("utf-8")
    except OSError:
        return ""
