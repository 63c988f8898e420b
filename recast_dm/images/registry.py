"""Images from a registry: the OCI distribution protocol, with its tokens; TLS is always verified.

A registry on the loopback interface is spoken to without TLS, as docker does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter, Retry

from recast_dm import config, store
from recast_dm.errors import IntegrityError, RemoteError, ToolMissing, UsageError
from recast_dm.images import layout, platforms
from recast_dm.images.blobs import Blobs, Layer, is_digest
from recast_dm.images.compression import checked
from recast_dm.images.layout import INDEXES, LARGEST_JSON, Stored
from recast_dm.spec import remote

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
DEFAULT = "docker.io"
"""The hub that docker means where a reference names no registry; it answers at another name, see `Name.base`."""
TIMEOUT = (10, 60)
BUSY = (429, 500, 502, 503, 504)
"""Answers after which a registry is asked again, twice."""
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
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
        (Name(host='docker.io', repository='library/debian', version='latest'), 'localhost:5000')
        """
        rest, _, digest = reference.partition("@")
        first, slash, tail = rest.partition("/")
        named = bool(slash) and ("." in first or ":" in first or first == "localhost")
        place, name = (first, tail) if named else (host or DEFAULT, rest)
        last = name.rpartition("/")[2]
        tag = last.partition(":")[2]
        repository = name.removesuffix(f":{tag}") if tag else name
        if place in (DEFAULT, f"index.{DEFAULT}"):
            place = DEFAULT
            repository = repository if "/" in repository else f"library/{repository}"
        if not (_NAME.fullmatch(repository) and _HOST.fullmatch(place) and _TAG.fullmatch(tag or "latest")):
            raise UsageError(f"{reference!r} does not name an image", hint="write HOST/REPOSITORY:TAG")
        if "@" in reference and not digest.startswith("sha256:"):
            raise UsageError(f"{reference!r} names an image by what is no SHA-256", hint="write NAME@sha256:DIGEST")
        return cls(place, repository, digest or tag or "latest")

    def __str__(self) -> str:
        return f"{self.repository}{'@' if ':' in self.version else ':'}{self.version}"

    def claim(self, digest: str) -> str:
        """What a registry says an image is, as docker writes it: its own hub goes without saying.

        >>> Name.parse("debian:12").claim("sha256:00"), Name.parse("a/b", "localhost:5000").claim("sha256:00")
        ('debian@sha256:00', 'localhost:5000/a/b@sha256:00')
        """
        if self.host == DEFAULT:
            return f"{self.repository.removeprefix('library/')}@{digest}"
        return f"{self.host}/{self.repository}@{digest}"

    @property
    def base(self) -> str:
        scheme = "http" if is_loopback(self.host) else "https"
        server = f"registry-1.{DEFAULT}" if self.host == DEFAULT else self.host
        return f"{scheme}://{server}/v2/{self.repository}/"


def repository(reference: str) -> str:
    """A reference without tag and digest.

    >>> repository("localhost:5000/a/b:1.0"), repository("debian@sha256:00")
    ('localhost:5000/a/b', 'debian')
    """
    place, slash, last = reference.partition("@")[0].rpartition("/")
    return f"{place}{slash}{last.partition(':')[0]}"


def is_loopback(host: str) -> bool:
    """Whether a registry runs on this machine.

    >>> is_loopback("localhost:5000"), is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("localhost.org")
    (True, True, True, False)
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return remote.is_loopback(name)


class _Session(requests.Session):
    """Follows no redirect away from TLS, and sends nothing to another host but the question.

    Passwords of ~/.netrc stay there: they would take the place of the registry's token.
    """

    def __init__(self) -> None:
        super().__init__()
        # whatever is sent may be sent again: it is named by its content, and an upload that is left is forgotten
        again = Retry(
            2, status_forcelist=BUSY, backoff_factor=0.3, respect_retry_after_header=False, allowed_methods=None
        )
        again.raise_on_status = False
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(max_retries=again))
        self.headers["Accept-Encoding"] = "identity"
        self.auth = remote.nobody

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        target = super().get_redirect_target(resp)
        if target is not None:
            _demand_tls(urljoin(resp.url, target))
        return target

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        if self.should_strip_auth(response.request.url, prepared_request.url):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop("Authorization", None)


def _demand_tls(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.netloc)):
        raise RemoteError(f"a registry leads to {parts.scheme}://{parts.hostname}, which has no TLS")


class Registry:
    """Takes images from registries. Raises RemoteError for what does not answer.

    A registry that wants to know who asks gets what `docker login` has kept for it.
    """

    actions = "pull"

    def __init__(self, host: str | None = None) -> None:
        self.host = host
        self._session = _Session()
        self._allowed: dict[tuple[str, str], str] = {}

    def take(self, reference: str, shared: Blobs) -> Stored | None:
        """Keeps an image in `shared`; None when the registry has none of that name."""
        name = Name.parse(reference, self.host)
        data = self._manifest(name, name.version)
        if data is None:
            return None
        manifest = layout.read(data, f"the manifest of {reference}")
        if manifest.get("mediaType") in INDEXES or "manifests" in manifest:
            data, manifest = self._of_index(reference, name, manifest)
        return self._image(reference, name, data, manifest, shared)

    def has(self, reference: str) -> bool:
        """Whether a registry gives an image of that name or digest."""
        name = Name.parse(reference, self.host)
        accept = {"Accept": ", ".join((*MANIFESTS, *INDEXES))}
        answer = self._sent(name, "HEAD", urljoin(name.base, f"manifests/{name.version}"), accept)
        answer.close()
        if answer.ok or answer.status_code == HTTPStatus.NOT_FOUND:
            return answer.ok
        raise RemoteError(f"{name.host} answers {answer.status_code} for {name}", hint=_hint(answer.status_code))

    def close(self) -> None:
        """Ends its connections."""
        self._session.close()

    def _of_index(self, reference: str, name: Name, index: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
        """The manifest of an index that is for this machine."""
        entries = index.get("manifests")
        if "layers" in index or not isinstance(entries, list):
            raise IntegrityError(f"{name.host} has no index of images for {reference}")
        entry = platforms.choose(entries)
        if entry is None:
            raise ToolMissing(f"{reference} has no image for {platforms.here()}")
        digest = str(entry.get("digest"))
        data = self._manifest(name, digest) if is_digest(digest) else None
        if data is None:
            raise IntegrityError(f"{name.host} lacks the manifest of {reference} that its index names")
        return data, layout.read(data, f"the manifest of {reference}")

    def _image(self, reference: str, name: Name, data: bytes, manifest: Mapping[str, Any], shared: Blobs) -> Stored:
        config = self._config(reference, name, manifest, shared)
        image, _ = layout.image_of(reference, config)
        found = [self._layer(name, each, shared) for each in layout.described(reference, manifest, image.diff_ids)]
        original = shared.add(data)
        return layout.stored(reference, config, found, registry_digest=name.claim(original), original=original)

    def _config(self, reference: str, name: Name, manifest: Mapping[str, Any], shared: Blobs) -> bytes:
        try:
            digest, size = manifest["config"]["digest"], manifest["config"]["size"]
        except (KeyError, TypeError):
            raise IntegrityError(f"{name.host} has no image manifest for {reference}") from None
        if not is_digest(digest) or not isinstance(size, int) or not 0 <= size <= LARGEST_JSON:
            raise IntegrityError(f"the manifest of {reference} describes a config by what is no digest or size")
        if not shared.has(digest):
            with self._blob(name, digest) as answer:
                shared.add_stream(_pieces(answer), digest, size)
        return shared.path(digest).read_bytes()

    def _layer(self, name: Name, layer: Layer, shared: Blobs) -> Layer:
        """Keeps a layer, which is hashed and inflated as it comes."""
        if known := shared.layer(layer.diff_id):
            return known
        with self._blob(name, layer.digest) as answer:
            return shared.add_pieces(checked(_pieces(answer), layer.digest, layer.size))

    def _manifest(self, name: Name, version: str) -> bytes | None:
        """A manifest, checked where it is asked for by its digest."""
        answer = self._get(name, f"manifests/{version}", {"Accept": ", ".join((*MANIFESTS, *INDEXES))})
        if answer is None:
            return None
        with answer:
            data = bounded(answer)
        if ":" in version and store.sha256_name(data) != version:
            raise IntegrityError(f"{name.host} gives other bytes for {name.repository}@{version}")
        return data

    def _blob(self, name: Name, digest: str) -> requests.Response:
        answer = self._get(name, f"blobs/{digest}", {})
        if answer is None:
            raise RemoteError(f"{name.host} lacks the blob {digest} of {name.repository}", hint="push the image again")
        return answer

    def _get(self, name: Name, what: str, headers: Mapping[str, str]) -> requests.Response | None:
        """An answer, None when there is nothing of that name. A registry that asks for a token is given one."""
        answer = self._sent(name, "GET", urljoin(name.base, what), headers)
        if answer.ok:
            return answer
        answer.close()
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        raise RemoteError(f"{name.host} answers {answer.status_code} for {name}", hint=_hint(answer.status_code))

    def _sent(
        self, name: Name, method: str, url: str, headers: Mapping[str, str] | None = None, data: Any = None
    ) -> requests.Response:
        """An answer. A registry that asks for a token, or for who asks, is told."""
        answer = self._ask(name, method, url, headers or {}, data)
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            challenge = answer.headers.get("WWW-Authenticate", "")
            answer.close()
            self._allowed[name.host, name.repository] = self._permission(name, challenge)
            if hasattr(data, "seek"):
                data.seek(0)
            answer = self._ask(name, method, url, headers or {}, data)
        return answer

    def _ask(self, name: Name, method: str, url: str, headers: Mapping[str, str], data: Any) -> requests.Response:
        permission = self._allowed.get((name.host, name.repository))
        more = (
            {"Authorization": permission} if permission and urlsplit(url).netloc == urlsplit(name.base).netloc else {}
        )
        try:
            _demand_tls(url)
            return self._session.request(
                method,
                url,
                headers={**headers, **more},
                data=data,
                stream=True,
                timeout=TIMEOUT,
                allow_redirects=method in ("GET", "HEAD"),
            )
        except (requests.RequestException, ValueError) as error:
            raise _unanswered(name.host, error) from None

    def _permission(self, name: Name, challenge: str) -> str:
        """What goes into `Authorization`: a token from where the registry says that tokens are, or a login."""
        said = dict(_CHALLENGE.findall(challenge))
        realm = said.get("realm", "")
        login = config.registry_login(name.host)
        if challenge.lower().startswith("basic") and login:
            return f"Basic {login}"
        if not challenge.lower().startswith("bearer") or not realm:
            raise RemoteError(
                f"{name.host} wants a login for {name.repository}",
                hint=f"`docker login {name.host}` keeps one; or pull the image with docker or podman first",
            )
        try:
            _demand_tls(realm)
            asked = {"service": said.get("service", ""), "scope": f"repository:{name.repository}:{self.actions}"}
            who = {"Authorization": f"Basic {login}"} if login else {}
            with self._session.get(realm, params=asked, headers=who, stream=True, timeout=TIMEOUT) as answer:
                given = layout.read(bounded(answer), f"the token of {name.host}") if answer.ok else {}
        except (requests.RequestException, ValueError) as error:
            raise _unanswered(f"{name.host}, which sends us elsewhere for a token,", error) from None
        return f"Bearer {given.get('token') or given.get('access_token') or ''}"


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    """What a registry sends. A RequestException is an OSError, and must not be taken for one of our disk."""
    try:
        yield from answer.iter_content(store.CHUNK)
    except requests.RequestException as error:
        raise _unanswered(urlsplit(answer.url).netloc, error) from None


def bounded(answer: requests.Response) -> bytes:
    """The body of an answer that is JSON. Raises RemoteError for one that is too large, or ends early."""
    data = bytearray()
    for piece in _pieces(answer):
        data += piece
        if len(data) > LARGEST_JSON:
            raise RemoteError(f"{urlsplit(answer.url).netloc} sends more than {LARGEST_JSON} bytes for a manifest")
    return bytes(data)


def _unanswered(host: str, error: Exception) -> RemoteError:
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return RemoteError(f"{host} ended in the middle of an answer", hint="try again: whole layers are kept")
    return RemoteError(f"{host} does not answer: {type(error).__name__}", hint="check the name and the network")


def _hint(status: int) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "an image that is not public has to be pulled with docker or podman first"
    return "it asks for patience: try again later" if status in BUSY else "check the name of the image"
