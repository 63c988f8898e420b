"""Passwords, keys and tokens in texts: detect-secrets finds them, only where a cheap look says that it could.

Its detectors with a mark of their own are used: AWS, Azure, GitHub, GitLab, JWT, npm, OpenAI, private keys, PyPI,
SendGrid, Slack, Square, Stripe, passwords in URLs, and assignments to names such as `password`. Not used are those by
entropy, and those whose pattern is any row of letters (Artifactory, Discord, Mailchimp, Telegram, Twilio, IP
addresses): hashes of locks and columns of numbers look like that. Of our own: assignments to `..._TOKEN`, where
detect-secrets knows none, GitHub's newer tokens, and a private key only with its body, because code that names the
first line of a key is no key.

A secret is known by a name made from a slow hash of it, so that a user can allow it and nobody can read it.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from recast_dm.capsule.gates.files import is_binary
from recast_dm.capsule.gates.layers import shown

LARGEST = 1024 * 1024
"""Larger files of layers are not looked at."""

SETTINGS = "settings.env"
"""Stands for the name of what has none: the settings of an image, where a password may be a plain word too."""

_DETECTORS = (
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "BasicAuthDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "KeywordDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SquareOAuthDetector",
    "StripeDetector",
)
KEYWORD, PRIVATE_KEY, IN_URL = "Secret Keyword", "Private Key", "Basic Auth Credentials"

_OWNERS = ("api", "auth", "service", "account", "db", "database", "priv", "private", "client")
_WORDS = {
    "key": (
        *(f"{owner}{between}key" for owner in _OWNERS for between in ("", "_")),
        *("keypass", "key_pass", "private key", "putty-user-key-file"),
    ),
    "pass": ("dbpass", "db_pass", "databasepass", "database_pass", "password", "passwd"),
    "gl": ("glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "glcbt-", "glimt-", "glptt-", "glagent-", "gloas-"),
    "gh": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    "": (
        *("pwd", "secret", "contrase", "token", "credential", "akia", "abia", "acca", "asia", "a3t", "aws", "eyj"),
        *("github_pat_", "gr1348941", "hooks.slack", "xox", "pypi-age", "sq0csp-", "k_live_", "t3blbkfj"),
    ),
}
"""In lower case: one of these is in every line in which a detector finds something, but for the two patterns below.

Looking for one word after the other is twice as fast as one pattern of them all, and most files have none. What
stands before words here is in all of them.
"""
_MARKS = tuple((hint.encode(), tuple(word.encode() for word in words)) for hint, words in _WORDS.items())
_MARK = re.compile(b"|".join(re.escape(word) for _, words in _MARKS for word in words))
_IN_URL = rb"[^:/?#\[\]@!$&'()*+,;=\s]+"
_MARKS_AS_WRITTEN = re.compile(rb"://%b:%b@|SG\.[a-zA-Z0-9_-]{22}\." % (_IN_URL, _IN_URL))

_WINDOW, _BEFORE, _OVERLAP = 8192, 1024, 4096
"""Lines longer than a window are looked at in pieces around their marks: patterns take quadratic time on them.

A secret of up to `_OVERLAP` characters behind its mark, or `_BEFORE` before it, is in one of the pieces as a whole.
"""

_ASSIGNED = re.compile(
    r"""(?ix) (?<![\w$-])
        (?P<name> [\w.-]{0,64}? (?:token|secret|passw(?:or)?d|api_?key|access_?key|credentials?) (?:_?\d+)? )
        ["']? \s* (?: := | => | = | : ) \s* (?P<quote> ["']? ) (?P<value> [^\s"'`,;|&]{8,} )"""
)
_ENDLESS_WORD = re.compile(r"(\w{256})\w+")
"""No name is that long, and looking for keywords in such a word takes cubic time."""
_PAT = re.compile(r"github_pat_[A-Za-z0-9_]{22,}")
_KEY_BODY = re.compile(r"[A-Za-z0-9+/]{32}")
_KEY_LINES = 8
_NO_VALUE = re.compile(r"[${<(%\[]|https?:|[./~]|.*[(\[{}<>\\]|\*+$|\.\.\.")
_FOR_DOCUMENTS = re.compile(r"(?:[\w-]+\.)*example(?:\.(?:com|org|net|edu))?\b")
_PLACEHOLDERS = re.compile(
    r"(?i).*(?:example|changeme|placeholder|dummy|redacted|your[-_]|xxxx|\*\*\*|\.\.\.|not[-_]?set|passw(?:or)?d|secret|token)"
)
_PLAIN_SETTINGS = frozenset({".sh", ".bash", ".zsh", ".env", ".cfg", ".conf", ".ini", ".toml", ".properties", ".csh"})
_LOCK = threading.Lock()  # detect-secrets keeps its settings in a global of its own


@dataclass(frozen=True, slots=True, order=True)
class Secret:
    """Where something secret stands (line None: it has none), what kind it is, and the name to allow it by."""

    place: str
    line: int | None
    kind: str
    name: str

    def line_of_text(self) -> str:
        """Where it is, what it is, and its name.

        >>> Secret("run.sh", 3, "GitHub Token", "0b5f1c2d3e").line_of_text()
        'run.sh:3: GitHub Token 0b5f1c2d3e'
        """
        return f"{self.place}{'' if self.line is None else f':{self.line}'}: {self.kind} {self.name}"

    def document(self) -> dict[str, Any]:
        return {"place": self.place, "line": self.line, "kind": self.kind, "name": self.name}


@contextmanager
def searching() -> Iterator[Search]:
    """A search with the detectors set up. Other threads wait for its end."""
    from detect_secrets.settings import get_plugins, transient_settings

    settings = {"plugins_used": [{"name": name} for name in _DETECTORS], "filters_used": []}
    with _LOCK, transient_settings(settings):
        yield Search(tuple(get_plugins()))


class Search:
    """Looks for secrets in texts, one after the other."""

    def __init__(self, detectors: tuple[Any, ...]) -> None:
        self._detectors = detectors

    def text(self, place: str, data: bytes, *, name: str | None = None) -> tuple[Secret, ...]:
        """The secrets in a file's bytes; a binary file has none. `name` is its path where the place is another."""
        if is_binary(data):
            return ()
        found: dict[Secret, None] = {}
        for line, text, after in _candidates(data):
            for kind, value in self._line(name or place, text, after):
                found[Secret(shown(place), line, kind, named(kind, value))] = None
        return tuple(found)

    def settings(self, place: str, words: Iterable[str]) -> tuple[Secret, ...]:
        """The secrets in variables, labels and commands: texts without lines."""
        found: dict[Secret, None] = {}
        for word in words:
            for secret in self.text(place, word.encode("utf-8", "replace"), name=SETTINGS):
                found[Secret(secret.place, None, secret.kind, secret.name)] = None
        return tuple(found)

    def _line(self, name: str, line: str, after: str) -> list[tuple[str, str]]:
        """The kinds and values of the secrets in one line; what a better kind says is not said as a keyword again."""
        if _allowed_in_place(line):
            return []
        found = [*self._detected(name, line, after), *_ours(name, line)]
        precise = [value for kind, value in found if kind != KEYWORD]
        return [
            (kind, value)
            for kind, value in dict.fromkeys(found)
            if kind != KEYWORD or not any(each in value or value in each for each in precise)
        ]

    def _detected(self, name: str, line: str, after: str) -> Iterator[tuple[str, str]]:
        shown_as = f"{name}.cfg" if _is_settings(name, line) else name
        short = _ENDLESS_WORD.sub(r"\1", line)
        for detector in self._detectors:
            said = short if detector.secret_type == KEYWORD else line
            for secret in detector.analyze_line(filename=shown_as, line=said, line_number=1):
                kind, value = secret.type, secret.secret_value
                if kind == PRIVATE_KEY:
                    body = line[line.index(value) :] + after
                    if _KEY_BODY.search(body):
                        yield kind, body
                elif not _harmless(kind, value, line, detector, name == SETTINGS):
                    yield kind, value


def _ours(name: str, line: str) -> Iterator[tuple[str, str]]:
    for match in _PAT.finditer(line):
        yield "GitHub Token", match.group()
    for match in _ASSIGNED.finditer(line):
        value = match["value"]
        bare = not match["quote"] and not _is_settings(name, line) and not match["name"].isupper()
        if not bare and _plausible(value, name == SETTINGS):
            yield KEYWORD, value


def _harmless(kind: str, value: str, line: str, detector: Any, words: bool) -> bool:
    """Whether a found value is a placeholder, a variable, or something else that protects nothing."""
    from detect_secrets.filters import heuristic

    if kind == IN_URL:
        return not _password(value) or re.match(_FOR_DOCUMENTS, line.partition(f":{value}@")[2]) is not None
    if kind == "AWS Access Key":  # letters within more letters are a picture, or a table
        return not re.search(rf"(?<![A-Za-z0-9+/]){re.escape(value)}(?![A-Za-z0-9+/])", line)
    if kind != KEYWORD:
        return False
    return (
        heuristic.is_likely_id_string(value, line, detector)
        or heuristic.is_indirect_reference(line)
        or not _plausible(value, words)
    )


def _plausible(value: str, words: bool = False) -> bool:
    """Whether an assigned value may be a secret: no variable, address, path, call, placeholder, or plain word.

    >>> _plausible("s3cr3t-Tr0ub4dor"), _plausible("${TOKEN}"), _plausible("changeme123"), _plausible("keyword")
    (True, False, False, False)
    """
    from detect_secrets.filters import heuristic

    value = value.strip()
    if len(value) < 6 or " " in value or _NO_VALUE.match(value) or _PLACEHOLDERS.match(value):
        return False
    if heuristic.is_sequential_string(value) or heuristic.is_not_alphanumeric_string(value):
        return False
    if words:
        return True
    letters = "".join(filter(str.isalpha, value))
    return letters != value and (any(map(str.isdigit, value)) or (not letters.islower() and not letters.isupper()))


def _password(value: str) -> bool:
    """Whether what stands for a password in a URL may be one.

    >>> _password("hunter2-x"), _password("$TOKEN"), _password("password"), _password("8080/a?b")
    (True, False, False, False)
    """
    words = ("pass", "pwd", "passwd", "password", "secret", "token", "user", "port", "key")
    odd = _NO_VALUE.match(value) or re.match(r"\d+(?:[/?].*)?$", value) or set(value) & set("/<>{}|\\\"'`")
    return len(value) > 2 and not odd and value.lower() not in words and not _PLACEHOLDERS.match(value)


def _is_settings(name: str, line: str) -> bool:
    """Whether a file is of the kind that assigns without quotes: a shell script, a configuration, a Dockerfile."""
    path = PurePosixPath(name)
    return (
        path.suffix in _PLAIN_SETTINGS
        or path.name.startswith((".", "Dockerfile", "Containerfile", "Makefile"))
        or line.lstrip().startswith(("export ", "ENV ", "ARG ", "setenv "))
    )


def _allowed_in_place(line: str) -> bool:
    """detect-secrets' own remark, `pragma: allowlist secret`, is honoured."""
    return "pragma" in line and re.search(r"pragma: ?(?:allow|white)list[ -]secret", line) is not None


def _candidates(data: bytes) -> Iterator[tuple[int, str, str]]:
    """The lines in which a detector could find something: number, text, and what follows it (for keys)."""
    lower = data.lower()
    marked = any(word in lower for hint, words in _MARKS if hint in lower for word in words)
    starts = [match.start() for match in _MARK.finditer(lower)] if marked else []
    starts += [match.start() for match in _MARKS_AS_WRITTEN.finditer(data)]
    number, counted, done = 1, 0, -1
    for start in sorted(starts):
        if start < done:
            continue
        begin = data.rfind(b"\n", 0, start) + 1
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end - begin > _WINDOW:  # a piece that holds the mark, and what comes before it
            begin, cut = max(begin, start - _BEFORE), start - _BEFORE + _WINDOW
            end, done = (end, end + 1) if end <= cut else (cut, cut - _OVERLAP)
        else:
            done = end + 1
        number, counted = number + data.count(b"\n", counted, begin), begin
        yield number, _decoded(data[begin:end]), _following(data, end)


def _following(data: bytes, end: int) -> str:
    lines = data[end : end + _OVERLAP].split(b"\n")[: _KEY_LINES + 1]
    return _decoded(b"\n".join(lines))


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace").rstrip()


@lru_cache(maxsize=1024)
def named(kind: str, value: str) -> str:
    """The name of a secret: made slowly from kind and value, and so short that it gives nothing away."""
    salt = f"recast-dm/secret/1/{kind}".encode()
    return hashlib.pbkdf2_hmac("sha256", value.encode("utf-8", "replace"), salt, 20_000, dklen=5).hex()
