"""For which machines an image is, in the OCI's words."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def here() -> str:
    """The platform of this machine: `linux/amd64`."""
    return f"linux/{_ARCHITECTURES.get(platform.machine(), platform.machine())}"


def runs(image: str, machine: str) -> bool:
    """Whether an image of a platform runs on a machine of another, as the kernel here says: it may emulate it.

    >>> runs("linux/amd64", "linux/amd64"), runs("plan9/amd64", "linux/amd64")
    (True, False)
    """
    system, architecture = image.split("/")[:2]
    if (system, architecture) == tuple(machine.split("/")[:2]):
        return True
    processors = [name for name, each in _ARCHITECTURES.items() if each == architecture]
    return system == "linux" and any(_emulated(each) for each in processors)


def _emulated(processor: str) -> bool:
    """Whether programs for a processor are handed to an emulator, in containers too: it stays open (flag F)."""
    try:
        said = Path(f"/proc/sys/fs/binfmt_misc/qemu-{processor}").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    flags = next((line.partition(":")[2] for line in said if line.startswith("flags")), "")
    return said[:1] == ["enabled"] and "F" in flags


def fits(image: str) -> bool:
    """Whether an image of a platform is for this machine; which variant of a processor is not compared.

    >>> fits("plan9/amd64"), fits(here()), fits(f"{here()}/v8")
    (False, True, True)
    """
    return image.split("/")[:2] == here().split("/")


def choose(entries: Iterable[Any]) -> dict[str, Any] | None:
    """The entry of an index for this machine: of several, the one for the oldest variant of its processor."""
    fitting = [dict(entry) for entry in entries if isinstance(entry, Mapping) and fits(_platform(entry))]
    return min(fitting, key=_platform, default=None)


def _platform(entry: Mapping[str, Any]) -> str:
    said = entry.get("platform")
    if not isinstance(said, Mapping):
        return ""
    return f"{said.get('os')}/{said.get('architecture')}" + (f"/{said['variant']}" if said.get("variant") else "")
