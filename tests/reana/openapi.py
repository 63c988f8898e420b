"""The official description of REANA's interface, and whether a request or a response is as it says.

The document is a file of the official client's package reana-commons (0.9.11), found in that client's environment.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

from recast_dm.backends.tool_environment import ensure
from tests.reana.wire import Handle, Request, Response

TOP = Path(__file__).parents[2]
LOCKS = TOP / "recast_dm" / "locks"
FILE = "reana_commons/openapi_specifications/reana_server.json"
_SILENT = frozenset({204, 302})


def client_python() -> Path:
    """The python of the official client's environment; made on the first use, which needs a package index."""
    return ensure("reana-client", LOCKS / "tool-reana-client.txt", TOP / "build" / "tools")


@functools.cache
def document() -> Mapping[str, Any]:
    """The official description (Swagger 2.0)."""
    found = next(client_python().parents[1].glob(f"lib/python*/site-packages/{FILE}"))
    read: Mapping[str, Any] = json.loads(found.read_text())
    return read


def problem_of_request(method: str, path: str, query: Mapping[str, str], body: Any = None) -> str | None:
    """What is wrong with a request; `body` is JSON, bytes, or None. `path` may be quoted or not."""
    call = _call(method, path)
    if call is None:
        return f"there is no {method} {path}"
    asked = {each["name"]: each for each in call.get("parameters", ()) if each["in"] == "query"}
    for name, value in query.items():
        if name not in asked:
            return f"{method} {path} has no parameter {name!r}"
        if problem := _problem_of_text(asked[name], value):
            return f"{method} {path}: {problem}"
    needed = {name for name, each in asked.items() if each.get("required")}
    if needed - query.keys():
        return f"{method} {path} needs {sorted(needed - query.keys())}"
    return _problem_of_body(call, method, path, body)


def _problem_of_body(call: Mapping[str, Any], method: str, path: str, body: Any) -> str | None:
    wanted = next((each for each in call.get("parameters", ()) if each["in"] == "body"), None)
    if wanted is None:
        return None if body is None else f"{method} {path} has no body"
    if body is None:
        return f"{method} {path} needs a body" if wanted.get("required") else None
    if isinstance(body, bytes):
        raw = "application/octet-stream" in call.get("consumes", ())
        return None if raw else f"{method} {path} takes JSON"
    return _problem(wanted.get("schema", {}), body, f"{method} {path}")


def problem_of_response(method: str, path: str, status: int, body: Any = None) -> str | None:
    """What is wrong with a response; `body` is JSON, bytes, or None."""
    call = _call(method, path)
    if call is None:
        return f"there is no {method} {path}"
    known = call["responses"].get(str(status))
    if known is None:
        return f"{method} {path} never answers {status}"
    schema = known.get("schema")
    if schema is None or body is None or status in _SILENT:
        return None
    if schema.get("type") == "file":
        return None if isinstance(body, bytes) else f"{method} {path} answers with a file"
    return _problem(schema, body, f"{method} {path} ({status})")


def _problem_of_text(parameter: Mapping[str, Any], value: str) -> str | None:
    """A parameter in an address is a text; the type says which texts."""
    patterns = {"integer": r"-?\d+", "boolean": r"(?i:true|false)", "number": r"-?\d+(\.\d+)?"}
    pattern = patterns.get(parameter.get("type", ""))
    if pattern and not re.fullmatch(pattern, value):
        return f"{parameter['name']}={value!r} is no {parameter['type']}"
    if "enum" in parameter and value not in parameter["enum"]:
        return f"{parameter['name']}={value!r} is not one of {parameter['enum']}"
    return None


def _problem(schema: Mapping[str, Any], body: Any, what: str) -> str | None:
    validator = jsonschema.Draft4Validator(_nullable(schema))
    found = next(iter(validator.iter_errors(body)), None)
    return None if found is None else f"{what}: {'/'.join(map(str, found.path))}: {found.message[:300]}"


def _nullable(schema: Any) -> Any:
    """A Swagger schema as JSON schema: `x-nullable` is a type there, and the real server sends null for any text."""
    if isinstance(schema, list):
        return [_nullable(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {key: _nullable(each) for key, each in schema.items() if key not in ("example", "examples")}
    kind = found.get("type")
    if isinstance(kind, str) and (kind == "string" or schema.get("x-nullable")):
        found["type"] = [kind, "null"]
    return found


def _call(method: str, path: str) -> Mapping[str, Any] | None:
    """The description of a call. A path of a workspace may have slashes in it."""
    found = []
    for pattern, methods in document()["paths"].items():
        if method.lower() in methods and re.fullmatch(_pattern(pattern), path):
            found.append((pattern.count("{"), methods[method.lower()]))
    return min(found, key=lambda each: each[0])[1] if found else None


def _pattern(path: str) -> str:
    parts = re.split(r"(\{[^}]+\})", path)
    return "".join(
        ".+" if part == "{file_name}" else "[^/]+" if part.startswith("{") else re.escape(part) for part in parts
    )


def checked(handle: Handle, problems: list[str]) -> Handle:
    """A server whose every exchange is compared with the document; what is wrong is put into `problems`."""

    def answered(request: Request) -> Response:
        answer = handle(request)
        query = {name: value for name, value in request.query.items() if not _undocumented(request, name)}
        said = problem_of_request(request.method, request.path, query, _body(request))
        if answer.status < 400 and said and not _is_empty_upload(request):
            problems.append(said)
        if answer.status not in (401, 429):
            kind = answer.headers.get("Content-Type", "")
            body = answer.document if kind == "application/json" else answer.body
            said = problem_of_response(request.method, request.path, answer.status, body)
            problems.extend([said] if said else [])
        return answer

    return answered


def _undocumented(request: Request, name: str) -> bool:
    """The official client sends the path of a file that it downloads in the query too."""
    return name == "file_name" and request.method == "GET" and "/workspace/" in request.path


def _is_empty_upload(request: Request) -> bool:
    return request.method == "POST" and request.path.endswith("/workspace") and not request.body


def _body(request: Request) -> Any:
    if not request.body:
        return None
    raw = "application/json" not in request.headers.get("content-type", "")
    return request.body if raw else json.loads(request.body)
