"""Images from a registry: the OCI distribution protocol, with its tokens; TLS is always verified.

A registry on the loopback interface is spoken to without TLS, as docker does.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from recast_dm import store
from recast_dm.errors import IntegrityError, RemoteError, UsageError
from recast_dm.images import layout
from recast_dm.images.blobs import Blobs, Layer
from recast_dm.images.layout import LARGEST_JSON, Stored

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
DEFAULT = "registry-1.docker.io"
TIMEOUT = (10, 60)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Name:
    """Where an image lies: `host`, `repository`, and a tag or digest."""

    host: str
    repository: str
    version: str

    @classmethod
    def parse(cls, reference: str, host: str | None = None) -> Name:
        """A reference as docker reads it; `host` is the registry of one that names none. Raises UsageError.

        >>> Name.parse("ghcr.io/org/image@sha256:00")
        Name(host='ghcr.io', repository='org/image', version='sha256:00')
        >>> Name.parse("debian"), Name.parse("recast-dm/toy:1.0", "localhost:5000").host
        (Name(host='registry-1.docker.io', repository='library/debian', version='latest'), 'localhost:5000')
        """
        rest, _, digest = reference.partition("@")
        first, slash, tail = rest.partition("/")
        named = bool(slash) and ("." in first or ":" in first or first == "localhost")
        place, name = (first, tail) if named else (host or DEFAULT, rest)
        last = name.rpartition("/")[2]
        tag = last.partition(":")[2]
        repository = name.removesuffix(f":{tag}") if tag else name
        if place in ("docker.io", "index.docker.io", DEFAULT):
            place = DEFAULT
            repository = repository if "/" in repository else f"library/{repository}"
        if not _NAME.fullmatch(repository):
            raise UsageError(f"{reference!r} does not name an image", hint="write HOST/REPOSITORY:TAG")
        return cls(place, repository, digest or tag or "latest")

    @property
    def base(self) -> str:
        scheme = "http" if is_loopback(self.host) else "https"
        return f"{scheme}://{self.host}/v2/{self.repository}/"


def is_loopback(host: str) -> bool:
    """Whether a registry runs on this machine.

    >>> is_loopback("localhost:5000"), is_loopback("127.0.0.1"), is_loopback("localhost.example.org")
    (True, True, False)
    """
    name = host.rpartition(":")[0] or host
    return name in ("localhost", "[::1]") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", name))


class Registry:
    """Takes images from registries. Raises RemoteError for what does not answer."""

    def __init__(self, host: str | None = None) -> None:
        self.host = host
        self._session = requests.Session()
        self._tokens: dict[str, str] = {}

    def take(self, reference: str, shared: Blobs) -> Stored | None:
        """Keeps an image in `shared`; None when the registry has none of that name."""
        name = Name.parse(reference, self.host)
        answer = self._manifest(name, name.version)
        if answer is None:
            return None
        data = answer
        manifest = layout.read(data, f"the manifest of {reference}")
        listed = store.sha256_name(data)
        if manifest.get("mediaType") in INDEXES or "manifests" in manifest:
            digest = _for_this_machine(manifest, reference)
            inner = self._manifest(name, digest)
            if inner is None or store.sha256_name(inner) != digest:
                raise IntegrityError(f"{name.host} gives another manifest of {reference} than its index names")
            data, manifest = inner, layout.read(inner, f"the manifest of {reference}")
        if name.version.startswith("sha256:") and listed != name.version:
            raise IntegrityError(f"{name.host} gives other bytes for {reference}: {listed}")
        return self._image(reference, name, data, manifest, listed, shared)

    def _image(
        self, reference: str, name: Name, data: bytes, manifest: Mapping[str, Any], listed: str, shared: Blobs
    ) -> Stored:
        try:
            config_digest, described = str(manifest["config"]["digest"]), manifest["layers"]
            digests = [str(each["digest"]) for each in described]
        except (KeyError, TypeError):
            raise IntegrityError(f"{name.host} has no image manifest for {reference}") from None
        self._blob(name, config_digest, shared)
        config = shared.path(config_digest).read_bytes()
        image, _ = layout.image_of(reference, config)
        if len(image.diff_ids) != len(digests):
            raise IntegrityError(f"the manifest of {reference} lists other layers than its config")
        layers = [
            self._layer(name, diff_id, digest, shared) for diff_id, digest in zip(image.diff_ids, digests, strict=True)
        ]
        original = shared.add(data)
        repository = reference.partition("@")[0].rpartition("/")[2].partition(":")[0]
        claim = f"{reference.partition('@')[0].rpartition('/')[0]}/{repository}@{listed}".removeprefix("/")
        return layout.stored(reference, config, layers, registry_digest=claim, original=original)

    def _layer(self, name: Name, diff_id: str, digest: str, shared: Blobs) -> Layer:
        known = shared.layer(diff_id)
        if known is not None and known.digest == digest:
            return known
        self._blob(name, digest, shared)
        return shared.add_layer(lambda: shared.path(digest).open("rb"))

    def _manifest(self, name: Name, version: str) -> bytes | None:
        accept = {"Accept": ", ".join((*MANIFESTS, *INDEXES))}
        answer = self._get(name, f"manifests/{version}", accept)
        if answer is None:
            return None
        with answer:
            return b"".join(_bounded(answer, LARGEST_JSON))

    def _blob(self, name: Name, digest: str, shared: Blobs) -> None:
        if shared.has(digest):
            return
        answer = self._get(name, f"blobs/{digest}", {})
        if answer is None:
            raise RemoteError(f"{name.host} lacks the blob {digest} of {name.repository}", hint="push the image again")
        with answer:
            try:
                shared.add_stream(answer.iter_content(store.CHUNK), digest)
            except requests.RequestException as error:
                raise _unanswered(name.host, error) from None

    def _get(self, name: Name, what: str, headers: Mapping[str, str]) -> requests.Response | None:
        """An answer, None when there is nothing of that name. A registry that asks for a token is given one."""
        url = urljoin(name.base, what)
        answer = self._ask(name, url, headers)
        if answer.status_code == requests.codes.unauthorized:
            challenge = answer.headers.get("WWW-Authenticate", "")
            answer.close()
            self._tokens[name.repository] = self._token(name, challenge)
            answer = self._ask(name, url, headers)
        if answer.status_code == requests.codes.not_found:
            answer.close()
            return None
        if not answer.ok:
            answer.close()
            raise RemoteError(
                f"{name.host} answers {answer.status_code} for {name.repository}:{name.version}",
                hint="an image that is not public has to be pulled with docker or podman first",
            )
        return answer

    def _ask(self, name: Name, url: str, headers: Mapping[str, str]) -> requests.Response:
        token = self._tokens.get(name.repository)
        more = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            return self._session.get(url, headers={**headers, **more}, stream=True, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise _unanswered(name.host, error) from None

    def _token(self, name: Name, challenge: str) -> str:
        """A token for what everybody may pull, from where the registry says that tokens are."""
        said = dict(_CHALLENGE.findall(challenge))
        realm = said.get("realm", "")
        if not challenge.lower().startswith("bearer") or urlsplit(realm).scheme not in ("https", "http"):
            raise RemoteError(
                f"{name.host} wants a login for {name.repository}", hint="pull the image with docker or podman first"
            )
        if urlsplit(realm).scheme == "http" and not is_loopback(urlsplit(realm).netloc):
            raise RemoteError(f"{name.host} names a place for tokens that has no TLS: {realm}")
        asked = {"service": said.get("service", ""), "scope": f"repository:{name.repository}:pull"}
        try:
            with self._session.get(realm, params=asked, timeout=TIMEOUT) as answer:
                given = answer.json()
        except (requests.RequestException, json.JSONDecodeError) as error:
            raise _unanswered(urlsplit(realm).netloc, error) from None
        return str(given.get("token") or given.get("access_token") or "")


def _bounded(answer: requests.Response, most: int) -> Iterator[bytes]:
    total = 0
    for chunk in answer.iter_content(store.CHUNK):
        total += len(chunk)
        if total > most:
            raise RemoteError(f"{urlsplit(answer.url).netloc} sends more than {most} bytes for a manifest")
        yield chunk


def _unanswered(host: str, error: Exception) -> RemoteError:
    return RemoteError(f"{host} does not answer: {type(error).__name__}", hint="check the name and the network")


def _for_this_machine(index: Mapping[str, Any], reference: str) -> str:
    """The manifest of an index that is for this machine's processor."""
    wanted = _MACHINES.get(platform.machine(), platform.machine())
    for entry in index.get("manifests") or []:
        said = entry.get("platform") or {}
        if said.get("os") == "linux" and said.get("architecture") == wanted:
            return str(entry["digest"])
    raise IntegrityError(f"{reference} has no image for linux/{wanted}")
