"""What can come of a request beside an answer: a refusal, or not to know whether it happened.

    RemoteError             the server cannot be reached, or talks nonsense
    ├── Refused             it answered, and said no; `status` is the HTTP status
    ├── Unsure              it may or may not have happened: the caller has to look
    └── NotAFile            a file was asked for, and there is a directory

No text here holds the query of a URL, for the query holds the token.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any
from urllib.parse import quote, quote_plus

from recast_dm.errors import RemoteError

_WORDS = 500
"""Characters of what a server says that an error repeats."""
_ADDRESS = re.compile(r"(access_token=)[^&\s\"'<>)]*")
_WHO = re.compile(r"token|signed? in|authori[sz]|authenticat|forbidden|^$")
_TOKEN_HINT = "check REANA_ACCESS_TOKEN: the server's web page shows the token, under your profile"  # noqa: S105 - words
_NAME_HINT = "check the workflow's name, NAME or NAME.RUN: the server's web page lists your workflows"
_STATE_HINT = "it is in a state that does not allow that: `recast-dm status` shows how far it is"
_QUOTA_HINT = "`recast-dm quota` shows what is used, and `recast-dm delete` makes room"
_BROKEN_HINT = "the server broke down over it: repeat it later, or tell those who run the server"


class Refused(RemoteError):
    """The server understood, and said no. `attempts` tells whether it was asked before: the first may have counted."""

    def __init__(self, message: str, status: int, *, hint: str | None = None, attempts: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.attempts = attempts


class Unsure(RemoteError):
    """The answer to something that may not be sent twice was lost: it has happened, or it has not."""


class NotAFile(RemoteError):
    """What lies under a path of a workspace is a directory."""


def hint_of(status: int, words: str) -> str | None:
    """What to do next. REANA says 403 to a wrong token, a full quota and a workflow that does not exist alike.

    >>> hint_of(403, "Token not valid.").partition(":")[0]
    'check REANA_ACCESS_TOKEN'
    >>> hint_of(403, "REANA_WORKON is set to x, but that workflow does not exist.").partition(",")[0]
    "check the workflow's name"
    """
    said = words.lower()
    if "quota" in said:
        return _QUOTA_HINT
    if status == 404 or (status == 403 and "exist" in said):
        return _NAME_HINT
    if status == 401 or (status == 403 and _WHO.search(said)):
        return _TOKEN_HINT
    if status == 409:
        return _STATE_HINT
    return _BROKEN_HINT if status >= 500 else None


def words_of(body: bytes, token: str) -> str:
    """What a server says in the body of a refusal, as one line of text that does not hold the token.

    >>> words_of(b'{"message": "Token secret not valid."}', "secret")
    'Token ... not valid.'
    >>> words_of(b"<html><h1>502 Bad Gateway</h1></html>", "secret")
    '502 Bad Gateway'
    """
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        document = re.sub(r"<[^>]*>", " ", body[:4096].decode("utf-8", "replace"))
    said = document.get("message") if isinstance(document, dict) else document
    text = said if isinstance(said, str) else json.dumps(document)
    return hidden(" ".join(text.split()), token)[:_WORDS]


def hidden(text: str, token: str) -> str:
    """A text without the token, in whichever way an address may write it.

    >>> hidden("a/b is what GET /api/you?access_token=a%2Fb&page=1 holds", "a/b")
    '... is what GET /api/you?access_token=...&page=1 holds'
    """
    for each in {token, quote(token), quote(token, safe=""), quote_plus(token)} - {""}:
        text = text.replace(each, "...")
    return redacted(text)


def redacted(text: str) -> str:
    """A text without the tokens of addresses.

    >>> redacted('GET /api/you?access_token=s3cret&page=1')
    'GET /api/you?access_token=...&page=1'
    """
    return _ADDRESS.sub(r"\1...", text)


class _Redacted(logging.Filter):
    """urllib3 writes whole addresses down when it is asked to debug, and headers that it cannot read."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._hidden(record.getMessage()), ()
        if record.exc_info:  # a traceback's last line is the error's text, which may be an address
            record.exc_text, record.exc_info = self._hidden(str(record.exc_info[1])), None
        return True

    def _hidden(self, text: str) -> str:
        for token in self.tokens:
            text = hidden(text, token)
        return redacted(text)


_REDACTED = _Redacted()


LEAST = 6
"""Characters of a token that is looked for by itself: a shorter one is no secret, and is part of every other word."""


def redact_logs(token: str) -> None:
    """From now on no record that urllib3 writes holds the token; addresses never show one, however short."""
    if len(token) >= LEAST:
        _REDACTED.tokens.add(token)
    for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "urllib3.response"):
        logging.getLogger(name).addFilter(_REDACTED)
