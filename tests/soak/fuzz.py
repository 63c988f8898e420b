"""Mutated specifications: each is a workflow, or one error that names file and line, within 2 s.

A trial takes a specification of this repository, changes one of its files (its lines and characters, or its tree of
values), and reads it as `recast-dm check` does.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import string
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from recast_dm import spec
from recast_dm.errors import RecastError
from recast_dm.spec import source, text
from recast_dm.spec.check import check

NAME = "fuzz"
TOTAL = 100_000
SECONDS = 2.0
"""What one specification may take, in seconds of the processor."""

TOP = Path(__file__).parents[2]
FORMS = ("tests/conformance/specs/*/workflow.yml", "specs/*/recast.yml", "tests/analyses/*/recast.yml")


@dataclass(frozen=True, slots=True)
class Original:
    """A specification of ours: its YAML files by name, the directories that it needs to have, and where it begins."""

    name: str
    texts: dict[str, str]
    directories: tuple[str, ...]
    begins: str


ENTRY = """\
name: examples/one
metadata: {author: Ada, tags: [x]}
spec: {toplevel: ., workflow: workflow.yml, workflow_type: yadage}
example_inputs:
  default: {initdata: {n: 1, names: [a, b]}, dataopts: {initdir: steps}}
  other: {initdata: {}, dataopts: {inputarchive: workflow.yml, archivematch: '*/x/'}}
results:
- {name: one, relpath: one/one.json, load_yaml: true}
steps: {one: {compat: raw}}
"""
REANA = """\
version: 0.9.4
inputs:
  files: [workflow.yml]
  directories: [steps]
  parameters: {n: 1, names: [a, b]}
  options: {toplevel: ., initdir: steps, initfiles: [init.yml], accept_metadir: true}
workflow:
  type: yadage
  file: workflow.yml
  resources: {cvmfs: [example.org], kerberos: false}
outputs: {files: [one/one.json]}
"""
"""The forms that no specification of this repository has: they are laid around one that has references."""


@cache
def originals() -> tuple[Original, ...]:
    found = sorted(path.parent for form in FORMS for path in TOP.glob(form))
    ours = [_original(directory) for directory in found]
    (inner,) = [original for original in ours if original.name == "references"]
    texts = {name: content for name, content in inner.texts.items() if name != "init.yml"}
    for name, content in (("entry.yml", ENTRY), ("reana.yaml", REANA)):
        # they are short and read first: as often as the others, together
        form = Original(f"form-{name}", {**texts, name: content, "init.yml": "m: 2\n"}, inner.directories, name)
        ours += [form] * (len(found) // 10)
    return tuple(ours)


def _original(directory: Path) -> Original:
    paths = [path for path in sorted(directory.rglob("*")) if "__pycache__" not in path.parts]
    texts = {
        str(path.relative_to(directory)): path.read_text()
        for path in paths
        if path.suffix in (".yml", ".yaml") and "data" not in path.parts[len(directory.parts) :]
    }
    texts.pop("init.yml", None)  # what a run is started with, and no part of the specification
    directories = tuple(str(path.relative_to(directory)) for path in paths if path.is_dir())
    return Original(directory.name, texts, directories, "recast.yml" if "recast.yml" in texts else "workflow.yml")


@cache
def words() -> tuple[Any, ...]:
    """The language as these specifications speak it: their keys and their values."""
    found: dict[str, Any] = {}
    for original in originals():
        for content in original.texts.values():
            for path, value in _nodes(_tree(content)):
                found |= {json.dumps(item): item for item in (path[-1] if path else None, value) if _is_scalar(item)}
    return tuple(found[key] for key in sorted(found))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _tree(content: str) -> Any:
    try:
        return yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:  # a specification of the corpus may be wrong on purpose
        return None


# --- changes to a text ---------------------------------------------------------------------------------------

# fmt: off
SPECIALS = (
    "&a ", "*a", "!!int ", "!!python/object/apply:os.system [id]", "!!binary ", "!x ", "<<: ", "<<: *a", "{", "}", "[",
    "]", ": ", ":", "- ", "-", "\n", "\n\n", "  ", "|\n", ">-\n", "---\n", "...\n", "'", '"', "\\x", "\\", "%TAG ! x\n",
    "%YAML 1.2\n", "!", "? ", "#", "\t", "0x", "0b_", "1:99", "~", "null", "yes", "@", "`", ",", "{{", "}}", "{x}", "{",
    "{0}", "{a.b}", "{a!r}", "{a:>9}", "$ref", "{$ref: '#/'}", "{$ref: '#'}", "{$ref: workflow.yml}", "{$ref: ''}",
    "{$ref: 'steps.yml#/%'}", "{$ref: ../../../etc/passwd}", "{$ref: 'https://[x'}", "{$ref: 'a%00b'}", "$(id)", "`id`",
    "[*]", "$..*", "stages[*].x", ".[]", "'; id #", "=", "1e999", ".inf", ".nan", "-0", "2024-01-01", "0o7", "08",
    "1_0",
)
UNICODE = (
    "\x00", "\x07", "\x7f", "\x85", "\xa0", "\u2028", "\u202e", "\ufeff", "\ud7ff", "\ufffd", "é", "東", "😀", "²", "İ",
)
# fmt: on
NUMBERS = (
    "9" * 400,
    "9" * 5000,
    "-" + "9" * 30,
    "1e308",
    "1" + "_" * 2000,
    "1:" * 300 + "1",
    "0x" + "f" * 300,
    "0" * 99,
)


def _place(content: str, chance: random.Random) -> int:
    return chance.randint(0, len(content))


def _change_lines(content: str, chance: random.Random) -> str:
    lines = content.splitlines(keepends=True) or ["\n"]
    here, there = chance.randrange(len(lines)), chance.randrange(len(lines))
    what = chance.randrange(6)
    if what == 0:
        del lines[here]
    elif what == 1:
        lines.insert(there, lines[here])
    elif what == 2:
        lines[here], lines[there] = lines[there], lines[here]
    elif what == 3:
        lines[here] = " " * chance.randint(1, 4) + lines[here]
    elif what == 4:
        lines[here] = lines[here].removeprefix(" " * chance.randint(1, 4))
    else:
        del lines[min(here, there) : max(here, there)]
    return "".join(lines)


def _change_character(content: str, chance: random.Random) -> str:
    at = _place(content, chance)
    new = chance.choice((chance.choice(string.printable), chr(chance.randrange(0x250)), ""))
    return content[:at] + new + content[at + chance.randint(0, 1) :]


def _insert(content: str, chance: random.Random) -> str:
    at = _place(content, chance)
    kind = chance.choice((SPECIALS, SPECIALS, SPECIALS, UNICODE, NUMBERS))
    return content[:at] + chance.choice(kind) * chance.choice((1, 1, 1, 1, 2, 70)) + content[at:]


def _replace_word(content: str, chance: random.Random) -> str:
    """Another word of the language in the place of one that stands here."""
    here = [str(word) for word in words() if len(str(word)) > 2 and str(word) in content]
    if not here:
        return content
    old, new = chance.choice(here), str(chance.choice(words()))
    return content.replace(old, new, chance.choice((1, -1)))


def _cut(content: str, chance: random.Random) -> str:
    at = _place(content, chance)
    return chance.choice((content[:at], content[at:], content[:at] + content[at + chance.randint(1, 40) :]))


def _repeat(content: str, chance: random.Random) -> str:
    at = _place(content, chance)
    piece = content[at : at + chance.randint(1, 60)]
    return content[:at] + piece * chance.choice((2, 10, 300)) + content[at:]


TEXT: tuple[Callable[[str, random.Random], str], ...] = (
    _change_lines,
    _change_lines,
    _change_character,
    _change_character,
    _insert,
    _insert,
    _replace_word,
    _cut,
    _repeat,
)


# --- changes to a tree ---------------------------------------------------------------------------------------


def _nodes(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, tree
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _nodes(value, (*path, key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _nodes(value, (*path, number))


def _any_value(chance: random.Random) -> Any:
    values: tuple[Any, ...] = (
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**30,
        "",
        " ",
        "init",
        "{workdir}/x",
        "{x}",
        "{",
        [],
        {},
        [[]],
        [None],
        {"": None},
        {"a": {}},
        {"$ref": "#/stages/0"},
        {"$ref": "steps.yml"},
        {"$ref": 1},
        {"step": "init", "output": "x"},
        {"stages": "[*]", "output": "*"},
        {"expression_type": "fromvalue", "value": 1},
        chance.choice(UNICODE[6:]),
        chance.choice(words()),
        chance.choice(words()),
        "x" * chance.choice((10, 300, 20_000)),
        list(range(chance.choice((3, 300)))),
        {f"k{n}": n for n in range(chance.choice((3, 300)))},
        _deep(chance),
    )
    return chance.choice(values)


def _deep(chance: random.Random) -> Any:
    value: Any = 1
    for _ in range(chance.choice((5, 40, 90))):
        value = [value] if chance.random() < 0.5 else {chance.choice(("a", "step", "stages", "parameters")): value}
    return value


def _change_tree(tree: Any, chance: random.Random) -> Any:
    """A tree with one node dropped, renamed, replaced, or exchanged with another."""
    nodes = list(_nodes(tree))
    path, value = chance.choice(nodes)
    if not path:
        return _any_value(chance) if chance.random() < 0.1 else tree
    parent = dict(nodes)[path[:-1]]
    what = chance.randrange(6)
    if what == 0:
        del parent[path[-1]]
    elif what == 1 and isinstance(parent, dict):
        parent[chance.choice((str(chance.choice(words())), "", f"{path[-1]}x", path[-1]))] = parent.pop(path[-1])
    elif what == 2:
        parent[path[-1]] = _any_value(chance)
    elif what == 3:
        parent[path[-1]] = _copy(chance.choice(nodes)[1])
    elif what == 4:
        parent[path[-1]] = chance.choice(([value], {"a": value}, str(value), [value, _copy(value)]))
    elif isinstance(parent, list):
        parent.insert(chance.randint(0, len(parent)), _copy(value))
    else:
        parent[str(chance.choice(words()))] = _any_value(chance)
    return tree


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


# --- a trial -------------------------------------------------------------------------------------------------


def mutated(content: str, chance: random.Random) -> bytes:
    """What becomes of a text."""
    if chance.random() < 0.5:
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            content = chance.choice(TEXT)(content, chance)
        data = content.encode(errors="surrogatepass")
        if chance.random() < 0.03:
            at = chance.randint(0, len(data))
            data = data[:at] + chance.randbytes(chance.randint(1, 4)) + data[at:]
        return data
    tree = _copy(_tree(content))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        tree = _change_tree(tree, chance)
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    flow = chance.choice((True, False, None))
    return yaml.dump(tree, Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=flow).encode()


class _TooSlow(BaseException):
    """Not an Exception: nothing on the way may take it for its own."""


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise _TooSlow


def read(path: Path) -> None:
    """All that can be asked of a specification without running it."""
    checked = check(str(path))
    for problem in (*checked.errors, *checked.warnings):
        if problem.where is None:
            raise problem
    opened = _agreed(path, bool(checked.errors))
    json.dumps(opened.initdata, allow_nan=False)
    flat = text.parse(source.flatten(opened), "flat.yml")
    spec.parse_workflow(flat, raw_stages=frozenset(opened.relaxations))


def _agreed(path: Path, wrong: bool) -> source.Source:
    """The source: what cannot be opened and read, `check` must have called wrong."""
    try:
        opened = source.open_source(path)
        spec.parse_workflow(opened.root, raw_stages=frozenset(opened.relaxations))
    except RecastError as error:
        if not wrong:
            raise AssertionError(f"check found nothing, and yet: {error}") from None
        raise
    return opened


_places: list[Path] = []


@contextmanager
def setup() -> Iterator[None]:
    """A directory for the specifications, as they are before each trial."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
        _places.append(Path(directory))
        try:
            yield
        finally:
            _places.pop()


def one(seed: int) -> str | None:
    if not _places:
        with setup():
            return one(seed)
    chance = random.Random(seed)
    original = chance.choice(originals())
    place = _places[-1] / original.name
    if not place.exists():
        _write(original, place)
    name = chance.choice(sorted(original.texts))
    content = mutated(original.texts[name], chance)
    (place / name).write_bytes(content)
    try:
        problem = _trial(place / original.begins, place)
    finally:
        (place / name).write_text(original.texts[name])
    return problem and f"{original.name}/{name}: {problem}"


def _write(original: Original, place: Path) -> None:
    for name in original.directories:
        (place / name).mkdir(parents=True, exist_ok=True)
    for name, content in original.texts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)


def _trial(path: Path, place: Path) -> str | None:
    before = signal.signal(signal.SIGVTALRM, _too_slow)
    signal.setitimer(signal.ITIMER_VIRTUAL, 5 * SECONDS)
    began = time.process_time()
    try:
        read(path)
    except RecastError as error:
        if error.where is None or error.where.line < 1 or f"{error.where.file}:{error.where.line}" not in str(error):
            return f"an error without its place: {error}"
        if not (error.where.file.startswith(str(place)) or Path(error.where.file).resolve().is_relative_to(place)):
            return f"an error with a place that is not in the specification: {error}"
    except _TooSlow:
        return f"more than {5 * SECONDS:g} s"
    except Exception as error:  # noqa: BLE001  # finding these is the trade of this module
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:300]} ({Path(frame.filename).name}:{frame.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    seconds = time.process_time() - began
    return f"{seconds:.1f} s" if seconds > SECONDS else None


def show(seed: int, target: Path) -> None:
    """Writes a trial's specification to look at: `python -c "from tests.soak import fuzz; …"`."""
    chance = random.Random(seed)
    original = chance.choice(originals())
    shutil.rmtree(target, ignore_errors=True)
    _write(original, target)
    name = chance.choice(sorted(original.texts))
    (target / name).write_bytes(mutated(original.texts[name], chance))
