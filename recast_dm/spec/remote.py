"""Specifications that lie on a server: yadage's remote toplevels, and how a file is fetched when that is allowed.

    https://HOST/PATH
    github:ORG/REPO[@REF][:SUBPATH]            REF is main, if none is given
    gitlab-cern:GROUP/REPO[@REF][:SUBPATH]     REF is master
    gitlab:HOST/GROUP/REPO[@REF][:SUBPATH]     REF is master; not known to upstream

Nothing is fetched without a `Fetch`, which the command line makes for `--allow-remote` only. Certificates are always
checked, and plain http is spoken with this machine only: whoever can change a specification on its way here chooses
the commands that run.
"""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit, urlunsplit

from recast_dm import __version__
from recast_dm.errors import Location, RecastError, RemoteError, SpecError, UsageError
from recast_dm.spec import text

if TYPE_CHECKING:
    import requests

MAX_REDIRECTS = 5
CHUNK = 64 * 1024
GITHUB = "https://raw.githubusercontent.com"
GITLAB_CERN = "gitlab.cern.ch"

FORMS = "a directory, https://…, github:ORG/REPO[@REF][:SUBPATH] or gitlab-cern:GROUP/REPO[@REF][:SUBPATH]"
ALLOW = "--allow-remote fetches it; or copy it into the directory of the analysis"
_REST = r"(?P<repo>[^@:\s]+)(?:@(?P<ref>[^:\s]+))?(?::(?P<sub>[^:\s]*))?"
_FORM = re.compile(rf"(?P<forge>github|gitlab-cern|gitlab:(?P<host>[^/@:\s]+(?::\d+)?)(?=/)):?{_REST}")


class Fetch(Protocol):
    """Gets the bytes at an address. Raises RemoteError, and its child Missing for what is not there."""

    def __call__(self, url: str, *, limit: int = text.MAX_BYTES) -> bytes: ...


class Missing(RemoteError):
    """The server says that there is no such file."""


# --- where things lie ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on a server. `url` is the whole of it; `directory` is where its own references begin."""

    url: str
    directory: Web | Repository

    @property
    def key(self) -> str:
        return self.url

    @property
    def shown(self) -> str:
        return shown(self.url)

    def read(self, fetch: Fetch) -> text.Node:
        """The document. Raises RemoteError, and SpecError for what is not plain YAML."""
        return text.decode(fetch(self.url), self.shown)


@dataclass(frozen=True, slots=True)
class Web:
    """A directory by its address, which ends with a slash.

    >>> Web("https://example.org/specs/").file("../steps.yml").url
    'https://example.org/steps.yml'
    """

    url: str

    def file(self, name: str) -> RemoteFile:
        try:
            url = urldefrag(urljoin(self.url, name)).url
            beside = urljoin(url, ".")
        except ValueError:
            raise ValueError("is not an address") from None
        if self.url.startswith("https:") and not url.startswith("https:"):
            raise ValueError("leads from https to another protocol")
        return RemoteFile(url, Web(beside))


@dataclass(frozen=True, slots=True)
class Repository:
    """A directory of a repository at one ref: `before` the path and `after` it stands what makes it an address.

    >>> Repository("https://example.org/org/repo/main/", "", "/", "specs").file("my%20steps.yml").url
    'https://example.org/org/repo/main/specs/my%20steps.yml'
    """

    before: str
    after: str
    safe: str
    path: str = ""

    def file(self, name: str) -> RemoteFile:
        if urlsplit(name).scheme:
            return Web(self.before).file(name)
        path = posixpath.normpath(posixpath.join(self.path, unquote(name)))
        if path.startswith(("/", "..")) or path == ".":
            raise ValueError("leaves the repository")
        url = f"{self.before}{quote(path, safe=self.safe)}{self.after}"
        return RemoteFile(url, Repository(self.before, self.after, self.safe, posixpath.dirname(path)))


def is_remote(toplevel: str) -> bool:
    """Whether a toplevel is one of the remote forms.

    >>> is_remote("github:org/repo"), is_remote("specs"), is_remote("from-github/x")
    (True, False, True)
    """
    return re.match(r"https?://|(github|gitlab-cern|gitlab):|from-(github|cap)\b", toplevel) is not None


def directory(toplevel: str, where: Location | None = None) -> Web | Repository:
    """The directory that a remote toplevel means. Raises SpecError; UsageError where no file names it.

    >>> directory("github:org/repo@v1:specs").file("w.yml").url
    'https://raw.githubusercontent.com/org/repo/v1/specs/w.yml'
    >>> directory("gitlab-cern:group/repo:specs").file("w.yml").url
    'https://gitlab.cern.ch/api/v4/projects/group%2Frepo/repository/files/specs%2Fw.yml/raw?ref=master'
    """
    kind: type[RecastError] = SpecError if where else UsageError
    if toplevel.startswith("from-"):
        form, _, within = toplevel.partition("/")
        written = f"github:lukasheinrich/yadage-workflows@master:{within}"
        raise kind(
            f"the toplevel {toplevel!r}: what {form} stood for has moved",
            where=where,
            hint=f"write {written}, if that is meant" if form == "from-github" else f"a toplevel is {FORMS}",
        )
    if toplevel.startswith(("http://", "https://")):
        return Web(toplevel.rstrip("/") + "/")
    found = _FORM.fullmatch(toplevel)
    repo = found["repo"].strip("/") if found else ""
    if not found or "/" not in repo or ".." in re.split("[/:@]", toplevel):
        raise kind(f"the toplevel {toplevel!r} cannot be read", where=where, hint=f"a toplevel is {FORMS}")
    path = (found["sub"] or "").strip("/")
    if found["forge"] == "github":
        return Repository(f"{GITHUB}/{repo}/{quote(found['ref'] or 'main', safe='/')}/", "", "/", path)
    files = f"https://{found['host'] or GITLAB_CERN}/api/v4/projects/{quote(repo, safe='')}/repository/files/"
    return Repository(files, f"/raw?ref={quote(found['ref'] or 'master', safe='')}", "", path)


def shown(url: str) -> str:
    """An address as it may be printed: without credentials and query, which can hold tokens.

    >>> shown("https://ada:secret@example.org:8443/w.yml?token=x#y")
    'https://example.org:8443/w.yml'
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # no address at all
        return re.split("[?#]", re.sub(r"//[^/]*@", "//", url))[0]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


# --- how they get here ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Fetches over verified TLS, within bounds.

    `ca` is a file of certificates to trust instead of the usual ones (which REQUESTS_CA_BUNDLE can replace).
    `tokens` are private tokens by host (`gitlab.cern.ch`), sent to that host alone. `timeout` is the longest silence
    in s, `deadline` the longest a file may take.
    """

    ca: Path | None = None
    tokens: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 10.0
    deadline: float = 120.0

    def __call__(self, url: str, *, limit: int = text.MAX_BYTES) -> bytes:
        import requests

        ends = time.monotonic() + self.deadline
        with requests.Session() as session:
            session.auth = nobody  # without one, requests looks for a password in ~/.netrc
            for _ in range(MAX_REDIRECTS + 1):
                _check_address(url)
                with self._ask(session, url) as answer:
                    if not answer.is_redirect:
                        _check_status(answer, url)
                        return self._body(answer, url, limit, ends)
                    url = _redirected(url, answer.headers["location"])
        raise RemoteError(
            f"{shown(url)}: more than {MAX_REDIRECTS} redirections", hint="name the address that they end at"
        )

    def _ask(self, session: requests.Session, url: str) -> requests.Response:
        import requests
        from urllib3.exceptions import HTTPError

        headers = {"User-Agent": f"recast-dm/{__version__}", "Accept-Encoding": "identity"}
        token = self.tokens.get(urlsplit(url).hostname or "")
        if token and url.startswith("https:"):
            headers["PRIVATE-TOKEN"] = token
        try:
            return session.get(
                url,
                headers=headers,
                timeout=self.timeout,
                verify=str(self.ca) if self.ca else True,
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:  # a name that is no host
            raise self._failure(url, error) from None

    def _body(self, answer: requests.Response, url: str, limit: int, ends: float) -> bytes:
        """The content, read piece by piece: what a server says of its size is a claim."""
        from urllib3.exceptions import HTTPError

        if answer.headers.get("content-encoding", "identity") != "identity":
            raise RemoteError(f"{shown(url)} came compressed, which was not asked for", hint=_DOWNLOAD)
        body = bytearray()
        try:
            while piece := answer.raw.read1(CHUNK):
                body += piece
                if len(body) > limit:
                    raise RemoteError(f"{shown(url)} has more than {limit} bytes", hint=_DOWNLOAD)
                if time.monotonic() > ends:
                    raise RemoteError(f"{shown(url)} took longer than {self.deadline:g} s", hint=_AGAIN)
        except (HTTPError, OSError) as error:
            raise self._failure(url, error) from None
        if answer.headers.get("content-length", str(len(body))) != str(len(body)):
            raise RemoteError(f"{shown(url)} ended early, after {len(body)} bytes", hint=_AGAIN)
        return bytes(body)

    def _failure(self, url: str, error: Exception) -> RemoteError:
        """What went wrong on the line. The texts of the exceptions hold whole addresses, so they are not repeated."""
        import requests
        from urllib3.exceptions import LocationParseError, ReadTimeoutError

        host = urlsplit(shown(url)).netloc
        import ssl  # with requests, only where something is fetched

        untrusted = _cause(error, ssl.SSLError)
        if untrusted is not None or isinstance(error, requests.exceptions.SSLError):
            reason = getattr(untrusted, "verify_message", "") or getattr(untrusted, "reason", "") or "TLS failed"
            return RemoteError(
                f"{shown(url)}: {host} cannot be trusted: {reason}",
                hint="certificates are always checked; REQUESTS_CA_BUNDLE can name the file of a private authority",
            )
        if isinstance(error, requests.Timeout | ReadTimeoutError | TimeoutError):
            return RemoteError(f"{shown(url)}: {host} was silent for {self.timeout:g} s", hint=_AGAIN)
        if isinstance(error, requests.exceptions.InvalidURL | LocationParseError | ValueError):
            return RemoteError(f"{shown(url)} is not an address", hint="check how it is written")
        refused = _cause(error, OSError)
        reason = getattr(refused, "strerror", None) or "the connection failed"
        return RemoteError(f"{shown(url)}: cannot reach {host}: {reason}", hint=_AGAIN)


_AGAIN = "check the network and the address, and try again; or download the file and name your copy"
_DOWNLOAD = "download the file yourself and name your copy"


def nobody(request: Any) -> Any:
    """Who we are to a server, but for what stands in the headers: nobody."""
    return request


def _cause(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The first exception of a kind in what an exception was made from."""
    waiting: list[Any] = [error]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, kind) and type(item).__module__.partition(".")[0] not in ("requests", "urllib3"):
            return item
        waiting += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]
    return None


def _check_address(url: str) -> None:
    """https to anybody, http to this machine only."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise RemoteError(f"{shown(url)} is not an address", hint="check how it is written") from None
    if parts.username or parts.password:
        raise RemoteError(f"{shown(url)}: the address holds a user's name or password", hint="leave them out")
    if parts.scheme == "https" and host:
        return
    if parts.scheme != "http" or not host:
        raise RemoteError(f"{shown(url)} is neither https nor http", hint=f"a toplevel is {FORMS}")
    if not is_loopback(host):
        raise RemoteError(
            f"{shown(url)}: plain http is not spoken with other machines",
            hint="write https: anybody on the way could change the commands that a specification runs",
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or its address."""
    if host == "localhost":
        return True
    try:
        import ipaddress

        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    if url.startswith("https:") and not target.startswith("https:"):
        raise RemoteError(
            f"{shown(url)} redirects from https to {shown(target)}", hint="name an address that stays with https"
        )
    return target


def _check_status(answer: requests.Response, url: str) -> None:
    code = answer.status_code
    if code == 200:
        return
    if code in (404, 410):
        raise Missing(f"{shown(url)} does not exist (HTTP {code})", hint="check the address, the ref and the subpath")
    if code in (401, 403):
        raise RemoteError(f"{shown(url)} is not for everybody (HTTP {code})", hint=_DOWNLOAD)
    raise RemoteError(f"{shown(url)}: the server says HTTP {code}", hint=_AGAIN)
