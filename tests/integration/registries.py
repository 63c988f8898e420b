"""Other people's tools for images, each with places of its own: nothing of this machine is touched."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOOLS = ("skopeo", "umoci", "podman", "docker-registry")

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
