"""Other people's tools for images, each with places of its own: nothing of this machine is touched."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TOOLS = {"skopeo": "skopeo", "umoci": "umoci", "podman": "podman", "docker-registry": "docker-registry"}
"""Commands, and the Debian packages that have them."""

REGISTRY = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "{address}"}}
log: {{level: error, accesslog: {{disabled: true}}}}
"""

# without an image being run: no cgroups, no network
STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{root}/graph"
runroot = "{root}/run"
"""


def install() -> None:
    """Sees to it that the tools are here. Skips, or fails under CI=true, where that cannot be."""
    missing = [package for command, package in TOOLS.items() if not shutil.which(command)]
    if not missing:
        return
    reason = f"{', '.join(missing)} missing: apt-get install --yes --no-install-recommends {' '.join(missing)}"
    if os.getuid() == 0 and Path("/etc/debian_version").exists():
        script = 'apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"'
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(["sh", "-c", script, "sh", *missing], env=quiet, capture_output=True, check=False)
        if all(map(shutil.which, TOOLS)):
            return
        reason += f"; as root: {done.stderr.decode()[-300:]}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(f"not run: {reason}")


def call(*words: object, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{words}: {done.stderr[-2000:]}"
    return done.stdout


def skopeo(*words: object) -> str:
    """skopeo without a policy of this machine's."""
    return call("skopeo", "--insecure-policy", *words)


@contextmanager
def registry(root: Path) -> Iterator[str]:
    """The address of a registry that runs on the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"localhost:{free.getsockname()[1]}"
    (root / "registry.yml").write_text(REGISTRY.format(root=root / "registry", address=address))
    with (root / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", root / "registry.yml"], stdout=log, stderr=log)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://{address}/v2/", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, (root / "registry.log").read_text()
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def podman_storage(root: Path) -> Path:
    """The configuration of a podman with images of its own."""
    path = root / "storage.conf"
    path.write_text(STORAGE.format(root=root))
    return path
