"""Images from an OCI layout to a registry, so that a cluster can pull them: what is there already is not sent again.

What is pushed is the manifest of the layout, byte for byte, with the config and layers that it names. So the digest by
which the registry has it is known before anything is sent, from every copy of the layout: nothing has to be recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import requests

from recast_dm import store
from recast_dm.errors import IntegrityError, RemoteError, UsageError
from recast_dm.images import blobs, layout
from recast_dm.images.layout import MANIFEST_TYPE, Layout
from recast_dm.images.placed import Placed
from recast_dm.images.registry import BUSY, Name, Registry, bounded

_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?(?:/[a-z0-9][a-z0-9._/-]*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """An image that a registry holds now. `sent` are the bytes that it lacked."""

    placed: Placed
    sent: int
    size: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A blob that the registry has now; `there`: it had it before."""

    digest: str
    size: int
    there: bool


Told = Callable[[Sent], object]


def placed(root: Path, registry: str, references: Iterable[str] | None = None) -> dict[str, Placed]:
    """Where a registry holds, or would hold, the images of a layout, by the names of the workflow.

    `registry` is HOST[:PORT][/PATH]. Raises UsageError for what is none.
    """
    wanted = None if references is None else set(references)
    source = Layout(root)
    found = {}
    for entry in source.index():
        image = source.image(entry).image
        if wanted is None or image.reference in wanted:
            name = _name(registry, image.reference)
            found[image.reference] = Placed(_pinned(name, entry["digest"]), image)
    return found


def push(root: Path, registry: str, pusher: Pusher | None = None, told: Told = lambda _: None) -> tuple[Pushed, ...]:
    """Has a registry hold every image of a layout. May be repeated. Raises RemoteError, UsageError, IntegrityError."""
    source = Layout(root)
    with closing(pusher or Pusher()) as open_pusher:
        return tuple(_pushed(open_pusher, source, entry, registry, told) for entry in source.index())


def _pushed(pusher: Pusher, source: Layout, entry: Mapping[str, Any], registry: str, told: Told) -> Pushed:
    stored = source.image(entry)
    name = _name(registry, stored.image.reference)
    parts = {part["digest"]: part for part in (stored.manifest["config"], *stored.manifest["layers"])}
    sent = sum(_blob(pusher, name, source.root, part, told) for part in parts.values())
    kind = str(stored.manifest.get("mediaType") or MANIFEST_TYPE)
    pusher.manifest(name, source.blob(entry["digest"]), entry["digest"], kind)
    return Pushed(placed=Placed(_pinned(name, entry["digest"]), stored.image), sent=sent, size=stored.size)


def reachable(reference: str, registry: Registry | None = None) -> str | None:
    """Why a registry does not give an image; None where it does."""
    try:
        with closing(registry or Registry()) as asked:
            if asked.has(reference):
                return None
    except (RemoteError, UsageError) as error:
        return error.message
    return "the registry has no such image"


def _blob(pusher: Pusher, name: Name, root: Path, part: Mapping[str, Any], told: Told) -> int:
    """Sends what the registry lacks of one blob; gives the bytes."""
    digest, size = part["digest"], int(part["size"])
    path = blobs.blob_path(root, digest)
    if not path.is_file() or path.stat().st_size != size:
        raise IntegrityError(f"{root} lacks the blob {digest}", hint="`recast-dm verify` says what else is wrong")
    there = pusher.has_blob(name, digest) or pusher.mount(name, digest)
    if not there:
        _uploaded(pusher, name, path, digest, size)
    pusher.held[name.host, digest] = name.repository
    told(Sent(digest, size, there))
    return 0 if there else size


def _uploaded(pusher: Pusher, name: Name, path: Path, digest: str, size: int) -> None:
    """Sends a blob. One that a registry refuses may have changed here, with the size that it had."""
    try:
        pusher.blob(name, path, digest, size)
    except RemoteError:
        if f"sha256:{store.sha256_file(path)}" != digest:
            hint = "`recast-dm verify` says what else is wrong"
            raise IntegrityError(f"the blob {digest} has changed: its hash is not its name", hint=hint) from None
        raise


def _name(registry: str, reference: str) -> Name:
    """An image at a registry, below the path that the user names: its own registry is left out.

    >>> str(_name("localhost:5000/ours", "recast-dm/toy:1.0"))
    'ours/recast-dm/toy:1.0'
    """
    host, _, path = registry.partition("/")
    # docker takes a first word without dot and port for a part of a name at its hub, and would pull from there
    if not _HOST.fullmatch(registry) or not ("." in host or ":" in host or host == "localhost"):
        raise UsageError(f"{registry!r} is no registry", hint="write HOST[:PORT][/PATH]: registry.example.org/group")
    own = Name.parse(reference)
    return Name(host, f"{path.strip('/')}/{own.repository}".lstrip("/"), own.version)


def _pinned(name: Name, digest: str) -> str:
    """The reference by which a registry gives exactly one image."""
    return f"{name.host}/{name.repository}@{digest}"


class Pusher(Registry):
    """A registry that is written to."""

    actions = "pull,push"

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        """The repository of a host that certainly has a blob."""

    def mount(self, name: Name, digest: str) -> bool:
        """Whether the registry gives a repository the blob that another one of its repositories has.

        One that may not, or cannot, begins an upload instead. It is left there: registries forget what never ends.
        """
        source = self.held.get((name.host, digest))
        if source is None or source == name.repository:
            return False
        query = urlencode({"mount": digest, "from": source})
        with self._sent(name, "POST", urljoin(name.base, f"blobs/uploads/?{query}")) as answer:
            return answer.status_code == HTTPStatus.CREATED

    def has_blob(self, name: Name, digest: str) -> bool:
        with self._sent(name, "HEAD", urljoin(name.base, f"blobs/{digest}")) as answer:
            return answer.status_code == HTTPStatus.OK

    def blob(self, name: Name, path: Path, digest: str, size: int) -> None:
        """Uploads one blob, in one piece. It may be there although the answer was lost, and a repetition refused."""
        begun = self._demand(name, self._sent(name, "POST", urljoin(name.base, "blobs/uploads/")), HTTPStatus.ACCEPTED)
        target = _with_digest(urljoin(begun.url, begun.headers.get("Location", "")), digest)
        with path.open("rb") as file:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            answer = self._sent(name, "PUT", target, headers, file)
        if answer.status_code == HTTPStatus.CREATED or not self.has_blob(name, digest):
            self._demand(name, answer, HTTPStatus.CREATED)
        answer.close()

    def manifest(self, name: Name, data: bytes, digest: str, kind: str) -> None:
        """Puts a manifest, by its tag where it has one, and looks whether it is there by its digest."""
        version = digest if ":" in name.version else name.version
        url = urljoin(name.base, f"manifests/{version}")
        self._demand(name, self._sent(name, "PUT", url, {"Content-Type": kind}, data), HTTPStatus.CREATED)
        if not self.has(_pinned(name, digest)):
            raise RemoteError(f"{name.host} took {name} and does not give it as {digest}", hint="push it again")

    def _demand(self, name: Name, answer: requests.Response, status: HTTPStatus) -> requests.Response:
        with answer:
            if answer.status_code == status:
                return answer
            said = _words(answer)
        raise RemoteError(f"{name.host} answers {answer.status_code} to a push of {name}{said}", hint=_hint(answer))


def _words(answer: requests.Response) -> str:
    """What a registry says of an error, where it says it as the protocol has it."""
    try:
        first = layout.read(bounded(answer), "an error")["errors"][0]
        text = f"{first['code']}: {first['message']}"
    except (IntegrityError, RemoteError, LookupError, TypeError):
        return ""
    return f": {''.join(each for each in text if each.isprintable())[:200]}"


def _hint(answer: requests.Response) -> str:
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "log in: `docker login` keeps what is used here"
    return "it asks for patience: push again later" if answer.status_code in BUSY else "push it again"


def _with_digest(url: str, digest: str) -> str:
    """The address of an upload, with the digest that ends it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("digest", digest)])))
