"""Images made by hand: configs, docker-archives in both forms, OCI layouts."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config(*layers: bytes, **more: Any) -> bytes:
    """The config of an image of uncompressed layers."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["A=1"], "WorkingDir": "/code"},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }
    return json.dumps(document | more).encode()


def tar_file(path: Path, members: Iterable[tuple[str, bytes | str]]) -> Path:
    """A tar file: bytes make a file, text a symbolic link."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


def by_directory(path: Path, images: Mapping[str, Sequence[bytes]], **more: Any) -> Path:
    """What docker up to 24 saves: a directory a layer; a layer that two images share is a link in the second."""
    members: list[tuple[str, bytes | str]] = []
    entries = []
    seen: dict[bytes, str] = {}
    for number, (reference, layers) in enumerate(images.items()):
        names = []
        for at, layer in enumerate(layers):
            name = f"{number}{at}/layer.tar"
            members.append((name, f"../{seen[layer]}" if layer in seen else layer))
            seen.setdefault(layer, name)
            names.append(name)
        about = config(*layers, **more)
        members.append((f"{digest(about).removeprefix('sha256:')}.json", about))
        entries.append({"Config": members[-1][0], "RepoTags": [reference], "Layers": names})
    return tar_file(path, [*members, ("manifest.json", json.dumps(entries).encode())])


def by_blob(path: Path, images: Mapping[str, Sequence[bytes]]) -> Path:
    """What docker 25 and later save: an OCI layout with a manifest.json."""
    blobs: dict[str, bytes] = {}
    entries = []
    for reference, layers in images.items():
        about = config(*layers)
        for data in (about, *layers):
            blobs[f"blobs/sha256/{digest(data).removeprefix('sha256:')}"] = data
        names = [f"blobs/sha256/{digest(layer).removeprefix('sha256:')}" for layer in layers]
        entries.append(
            {
                "Config": f"blobs/sha256/{digest(about).removeprefix('sha256:')}",
                "RepoTags": [reference],
                "Layers": names,
                "LayerSources": {},
            }
        )
    return tar_file(
        path,
        [
            *blobs.items(),
            ("index.json", b'{"schemaVersion":2,"manifests":[]}'),
            ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
            ("manifest.json", json.dumps(entries).encode()),
        ],
    )


def manifest(about: bytes, layers: Sequence[bytes], kind: str = OCI) -> bytes:
    """A manifest of an image whose layers are stored as they are given."""
    docker = kind == DOCKER
    layer_type = f"{DOCKER}image.rootfs.diff.tar.gzip" if docker else f"{OCI}layer.v1.tar+gzip"
    config_type = f"{DOCKER}container.image.v1+json" if docker else f"{OCI}config.v1+json"
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{DOCKER}distribution.manifest.v2+json" if docker else f"{OCI}manifest.v1+json",
            "config": {"mediaType": config_type, "digest": digest(about), "size": len(about)},
            "layers": [{"mediaType": layer_type, "digest": digest(each), "size": len(each)} for each in layers],
        }
    ).encode()


def packed(*layers: bytes) -> list[bytes]:
    return [gzip.compress(layer, mtime=0) for layer in layers]


class OciLayout:
    """An OCI layout of somebody else."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries: list[dict[str, Any]] = []
        (root / "blobs/sha256").mkdir(parents=True)
        self.write()

    def blob(self, data: bytes) -> str:
        (self.root / "blobs/sha256" / digest(data).removeprefix("sha256:")).write_bytes(data)
        return digest(data)

    def path(self, name: str) -> Path:
        return self.root / "blobs/sha256" / name.removeprefix("sha256:")

    def entry(self, data: bytes, kind: str, name: str | None = None, **more: Any) -> dict[str, Any]:
        made = {"mediaType": kind, "digest": self.blob(data), "size": len(data), **more}
        return made | ({"annotations": {"org.opencontainers.image.ref.name": name}} if name else {})

    def add(self, name: str | None, *layers: bytes, kind: str = OCI) -> str:
        """An image; gives the digest of its manifest."""
        about = config(*layers)
        for data in (about, *packed(*layers)):
            self.blob(data)
        self.entries.append(self.entry(manifest(about, packed(*layers), kind), f"{OCI}manifest.v1+json", name))
        self.write()
        return str(self.entries[-1]["digest"])

    def write(self) -> None:
        (self.root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.entries}))
