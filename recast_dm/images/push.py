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

from recast_dm.errors import IntegrityError, RemoteError, UsageError
from recast_dm.images import blobs
from recast_dm.images.layout import MANIFEST_TYPE, Layout
from recast_dm.images.placed import Placed
from recast_dm.images.registry import Name, Registry

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
    layout = Layout(root)
    found = {}
    for entry in layout.index():
        image = layout.image(entry).image
        if wanted is None or image.reference in wanted:
            name = _name(registry, image.reference)
            reference = f"{name.host}/{name.repository}@{entry['digest']}"
            found[image.reference] = Placed(reference, image)
    return found


def push(root: Path, registry: str, pusher: Pusher | None = None, told: Told = lambda _: None) -> tuple[Pushed, ...]:
    """Has a registry hold every image of a layout. May be repeated. Raises RemoteError, UsageError, IntegrityError."""
    layout = Layout(root)
    with closing(pusher or Pusher()) as open_pusher:
        return tuple(_pushed(open_pusher, layout, entry, registry, told) for entry in layout.index())


def _pushed(pusher: Pusher, layout: Layout, entry: Mapping[str, Any], registry: str, told: Told) -> Pushed:
    stored = layout.image(entry)
    name = _name(registry, stored.image.reference)
    parts = {part["digest"]: part for part in (stored.manifest["config"], *stored.manifest["layers"])}
    sent = sum(_blob(pusher, name, layout.root, part, told) for part in parts.values())
    kind = str(stored.manifest.get("mediaType") or MANIFEST_TYPE)
    pusher.manifest(name, layout.blob(entry["digest"]), entry["digest"], kind)
    reference = f"{name.host}/{name.repository}@{entry['digest']}"
    return Pushed(placed=Placed(reference, stored.image), sent=sent, size=stored.size)


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
    there = pusher.has_blob(name, digest)
    if not there:
        pusher.blob(name, path, digest, size)
    told(Sent(digest, size, there))
    return 0 if there else size


def _name(registry: str, reference: str) -> Name:
    """An image at a registry, below the path that the user names: its own registry is left out.

    >>> str(_name("localhost:5000/ours", "recast-dm/toy:1.0"))
    'ours/recast-dm/toy:1.0'
    """
    if not _HOST.fullmatch(registry):
        raise UsageError(f"{registry!r} is no registry", hint="write HOST[:PORT][/PATH]: registry.example.org/group")
    host, _, path = registry.partition("/")
    own = Name.parse(reference)
    return Name(host, f"{path.strip('/')}/{own.repository}".lstrip("/"), own.version)


class Pusher(Registry):
    """A registry that is written to."""

    actions = "pull,push"

    def has_blob(self, name: Name, digest: str) -> bool:
        with self._sent(name, "HEAD", urljoin(name.base, f"blobs/{digest}")) as answer:
            return answer.status_code == HTTPStatus.OK

    def blob(self, name: Name, path: Path, digest: str, size: int) -> None:
        """Uploads one blob, in one piece."""
        begun = self._demand(name, self._sent(name, "POST", urljoin(name.base, "blobs/uploads/")), HTTPStatus.ACCEPTED)
        target = _with_digest(urljoin(begun.url, begun.headers.get("Location", "")), digest)
        with path.open("rb") as file:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            answer = self._sent(name, "PUT", target, headers, file)
        self._demand(name, answer, HTTPStatus.CREATED)

    def manifest(self, name: Name, data: bytes, digest: str, kind: str) -> None:
        """Puts a manifest, by its tag where it has one, and looks whether it is there by its digest."""
        version = digest if ":" in name.version else name.version
        url = urljoin(name.base, f"manifests/{version}")
        self._demand(name, self._sent(name, "PUT", url, {"Content-Type": kind}, data), HTTPStatus.CREATED)
        if not self.has(f"{name.host}/{name.repository}@{digest}"):
            raise RemoteError(f"{name.host} took {name} and does not give it as {digest}", hint="push it again")

    def _demand(self, name: Name, answer: requests.Response, status: HTTPStatus) -> requests.Response:
        answer.close()
        if answer.status_code == status:
            return answer
        hint = "log in: `docker login` keeps what is used here" if answer.status_code in (401, 403) else "push it again"
        raise RemoteError(f"{name.host} answers {answer.status_code} to a push of {name}", hint=hint)


def _with_digest(url: str, digest: str) -> str:
    """The address of an upload, with the digest that ends it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("digest", digest)])))
