"""Hostile parameters: each arrives literally, byte by byte, or is refused by an error of ours. None executes.

Trial n is about the n-th payload. Payloads are tried in batches, many in one workflow: free, in single and in double
quotes of commands and of sh and bash scripts, through every publisher and a registered value, as what names a file,
as names and expressions of the specification; every twentieth batch in real containers too.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from recast_dm import spec
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.engine.execute import Finished
from recast_dm.errors import RecastError
from recast_dm.model import StepId, Workflow
from recast_dm.runtimes import Runtime
from recast_dm.runtimes.docker import Docker
from recast_dm.spec import text

NAME = "payloads"
TOTAL = 10_000
BATCH = 50
CONTAINERS = 20
IMAGE = ("recast-dm/toy", "1.0")
CANARY = "@canary@"

# --- payloads ---------------------------------------------------------------------------------------------------------

ATOMS = (
    *(
        "",
        " ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "'",
        '"',
        "''",
        '""',
        "'\"'\"'",
        "\\",
        "\\\\",
        "\\'",
        '\\"',
        "\\n",
        "\\0",
        "`",
    ),
    *(
        f"$(touch {CANARY})",
        f"`touch {CANARY}`",
        f"; touch {CANARY} #",
        f"' ; touch {CANARY} ; '",
        f"&& touch {CANARY}",
    ),
    *(f'" ; touch {CANARY} ; "', f"\n touch {CANARY}\n", f"| touch {CANARY}", f"& touch {CANARY} &", f"> {CANARY}"),
    *(f">> {CANARY}", f"2> {CANARY}", f"<( touch {CANARY} )", f"$( $( touch {CANARY} ) )", f"'$(touch {CANARY})'"),
    *(f"EOF\ntouch {CANARY}\n", f"\x00; touch {CANARY}", f"$'\\n touch {CANARY}'", f"}};touch {CANARY};{{", "\x00"),
    *(
        "$HOME",
        "${HOME}",
        "$((1+1))",
        "$[1+1]",
        "${x:-y}",
        "${!x}",
        "$$",
        "$?",
        "$#",
        "$@",
        "$*",
        "$0",
        "$",
        "!!",
        "!x",
    ),
    *(
        "RECAST_DM_P0",
        "${RECAST_DM_P0}",
        "$RECAST_DM_P0",
        "*",
        "?",
        "[a-z]",
        "**",
        "/*",
        "~",
        "~root",
        "{a,b}",
        "{1..9}",
    ),
    *(
        "-",
        "--",
        "-n",
        "-e",
        "-rf",
        "--help",
        "-c",
        "--entrypoint=sh",
        "-v/:/host",
        "=",
        "a=b",
        "#",
        " #",
        "x#y",
        "%",
        "%s",
    ),
    *(
        "%n",
        "%d%s%x",
        "%%",
        "\\x41",
        "\\033[2J",
        "\x1b[31m",
        "\x1b]0;x\x07",
        "\x07",
        "\x7f",
        "\x80",
        "\x9b",
        "\x01",
        "\x02",
    ),
    *(
        "{x}",
        "{x.__class__}",
        "{workdir.__class__}",
        "{v.__class__.__mro__}",
        "{0}",
        "{}",
        "{{",
        "}}",
        "{",
        "}",
        "{{x}}",
    ),
    *("{v}", "{v!r}", "{v:>9}", "{x[0]}", "{readdir}", "{readdirx}", "{ workdir }", "{workdir[0]}", "{workdir!r}"),
    *("b64json:/", "b64json", "b64json://", "b64json://!!!", "b64json://eyJhIjoxfQ==", "xb64json://e30="),
    *(
        "\ue000",
        "\ue001",
        "/\ue000init/0\ue001",
        "/\ue000v/0\ue001/x",
        "\u202e",
        "\u200b",
        "\ufeff",
        "\ufffd",
        "\uffff",
    ),
    *("\u2028", "\x85", "é", "e\u0301", "東京", "😀", "\U0010ffff", "\ud800", "\udfff", "\udcff", "ā\u0081\u0088"),
    *(
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "./",
        "/",
        "//",
        "../",
        "a/../b",
        "file",
        "sub/file",
        "./file",
        "sub",
    ),
    *("sub/../file", "file/", "*/*", "**/*", "fil?", "[f]ile", "[", "[!", "[]", "[]]", "sub/../../other", ".hidden"),
    *(
        "null",
        "true",
        "1e3",
        "0x10",
        "[1,2]",
        '{"a":1}',
        ": ",
        "- ",
        "&a",
        "*a",
        "!!python/object",
        "@",
        "%YAML",
        "---",
        "...",
    ),
    *(
        "$ENV",
        "env",
        "input",
        ". | halt",
        '"\\(1)"',
        "a" * 300,
        "'" * 500,
        "\\" * 501,
        "$(" * 100,
        "{" * 101,
        "x" * 20_000,
    ),
)
"""What texts are made of: what shells, Python, YAML, jq, docker, terminals and file systems act on."""
HUGE = ("y" * 140_000, "'" * 60_000, "z" * 300_000)
"""More than one word of a command line may have."""


def payload(number: int) -> str:
    """The n-th payload: each atom alone, then what is too long, then atoms joined at random, and random characters."""
    if number < len(ATOMS):
        return ATOMS[number]
    if number < len(ATOMS) + len(HUGE):
        return HUGE[number - len(ATOMS)]
    chance = random.Random(number)
    if chance.random() < 0.15:
        return "".join(chr(chance.choice((chance.randrange(256), chance.randrange(0x110000)))) for _ in range(12))
    return "".join(chance.choice(ATOMS) for _ in range(chance.randint(2, 5)))


def carried(word: str) -> bool:
    """Whether a command line can hold a text; else it must be refused. `b64json://` is read, not carried."""
    half = any("\ud800" <= letter <= "\udfff" for letter in word)
    plain = "\0" not in word and not half and len(word) < 25_000 and not word.startswith("b64json://")
    return plain and not in_brackets(word)


def in_brackets(word: str) -> bool:
    """Whether a text, or the text written twice, holds a command in brackets: shells evaluate it as a subscript."""
    depth = 0
    twice = word + word
    for n, letter in enumerate(twice):
        depth = max(0, depth + (letter == "[") - (letter == "]"))
        if depth and twice[n:].startswith(("$(", "${", "`")):
            return True
    return False


def utf8(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")


# --- workflows --------------------------------------------------------------------------------------------------------

INIT = {"step": "init", "output": "v"}
HOST = {"environment_type": "localproc-env"}
NOTHING = {"environment_type": "noop-env"}
PRINTED = """printf %s {v} > free; printf %s '{v}' > single; printf %s "{v}" > double
printf %s 'a'{v}"b" > joined; printf '<%s>' '-{v}-' "-{v}-" > inside; printf '%s\\0' {v} > words"""


def expected(word: str) -> dict[str, str]:
    """What each file of `PRINTED` must hold."""
    return {
        "free": word,
        "single": word,
        "double": word,
        "joined": f"a{word}b",
        "inside": f"<-{word}-><-{word}->",
        "words": f"{word}\0",
    }


def stage(name: str, step: Mapping[str, Any], parameters: Mapping[str, Any], scatter: bool = False) -> dict[str, Any]:
    scheduler: dict[str, Any] = {"scheduler_type": "singlestep-stage", "parameters": dict(parameters)}
    if scatter:
        scheduler |= {"scheduler_type": "multistep-stage", "scatter": {"method": "zip", "parameters": ["v"]}}
    return {"name": name, "dependencies": ["init"], "scheduler": scheduler | {"step": dict(step)}}


def command(cmd: str, publisher: Mapping[str, Any], environment: Mapping[str, Any] = HOST) -> dict[str, Any]:
    process = {"process_type": "string-interpolated-cmd", "cmd": cmd}
    return {"process": process, "environment": dict(environment), "publisher": dict(publisher)}


def script(lines: str, interpreter: str, publisher: Mapping[str, Any]) -> dict[str, Any]:
    process = {"process_type": "interpolated-script-cmd", "script": lines, "interpreter": interpreter}
    return {"process": process, "environment": HOST, "publisher": dict(publisher)}


def said(publisher: Mapping[str, Any]) -> dict[str, Any]:
    """A step that starts nothing and only publishes."""
    return {"process": None, "environment": NOTHING, "publisher": dict(publisher)}


FROMPAR = {"publisher_type": "frompar-pub", "outputmap": {"o": "v"}}
PUBLISHERS = {
    "frompar": FROMPAR,
    "interpolated": {"publisher_type": "interpolated-pub", "publish": {"o": "{v}"}},
    "fromparjq": {"publisher_type": "fromparjq-pub", "script": "{o: .v}"},
}


def parsed(*stages: dict[str, Any]) -> Workflow:
    return spec.parse_workflow(text.parse(yaml.safe_dump({"stages": stages}), "workflow.yml"))


class Place:
    """A directory to run in, with a canary that nothing may touch, files that values may name, and a neighbour."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.canary = root / "canary"
        self.count = 0
        for name in ("init/file", "init/sub/file", "other/secret"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)

    def run(
        self, flow: Workflow, value: Any = None, *, runtime: Runtime | None = None, initdir: bool = False
    ) -> Finished:
        """Executes with the init parameter `v`."""
        self.count += 1
        local = Local(runtime=runtime, jobs=2, cache=None, allow_host=True)
        work = Work(workflow=flow, initdata={"v": value}, initdir=self.root / "init" if initdir else None)
        return local.execute(work, directory=self.root / f"run{self.count}", observer=lambda event: None)

    def escaped(self) -> str | None:
        """What was written where nothing may be."""
        known = {"init", "other", *(f"run{n + 1}" for n in range(self.count))}
        odd = {path.name for path in self.root.iterdir()} - known
        files = {
            str(path.relative_to(self.root)) for place in ("init", "other") for path in (self.root / place).rglob("*")
        }
        if odd or files != {"init/file", "init/sub", "init/sub/file", "other/secret"}:
            return f"something was written outside: {odd or files}"
        return None


def differences(finished: Finished, step: StepId, word: str) -> list[str]:
    """How the files of a step differ from what `PRINTED` must have written."""
    place = finished.directory / str(step)
    files = {file.path for file in finished.record(step).tree.files}
    wanted = expected(word)
    if files != set(wanted):
        return [f"{step} wrote {sorted(files)}"]
    return [
        f"{step}/{name} holds {(place / name).read_bytes()[:80]!r}, not {utf8(content)[:80]!r}"
        for name, content in wanted.items()
        if (place / name).read_bytes() != utf8(content)
    ]


# --- checks: each gives what is wrong, by the index of the payload ----------------------------------------------------

Wrong = list[tuple[int, str]]
ALL = -1


@contextlib.contextmanager
def refusing(n: int, wrong: Wrong) -> Iterator[None]:
    """An error of ours is an answer; any other exception is not."""
    try:
        yield
    except RecastError:
        pass
    except Exception as error:  # noqa: BLE001  # no payload may cause any
        wrong.append((n, f"{type(error).__name__}: {error}"[:500]))


def literal(place: Place, words: Sequence[str]) -> Wrong:
    """Commands and scripts get what can be carried, to the byte."""
    steps = {
        "command": command(PRINTED, FROMPAR),
        "sh": script(PRINTED, "sh", FROMPAR),
        "bash": script(PRINTED, "bash", FROMPAR),
    }
    good = [(n, word) for n, word in enumerate(words) if carried(word)]
    flow = parsed(*(stage(name, step, {"v": INIT}, scatter=True) for name, step in steps.items()))
    finished = place.run(flow, [word for _, word in good])
    return [
        (n, what)
        for name in steps
        for index, (n, word) in enumerate(good)
        for what in differences(finished, StepId(name, index), word)
    ]


def refused(place: Place, words: Sequence[str]) -> Wrong:
    """What no command can carry is refused, or (`b64json://`, a long text that fits) becomes what it stands for."""
    wrong: Wrong = []
    for n, word in enumerate(words):
        if carried(word):
            continue
        with refusing(n, wrong):
            finished = place.run(parsed(stage("command", command(PRINTED, FROMPAR), {"v": INIT})), word)
            if word.startswith("b64json://"):
                continue
            wrong += [(n, what) for what in differences(finished, StepId("command"), word)]
    return wrong


def published(place: Place, words: Sequence[str]) -> Wrong:
    """Publishers hand on what they get; a registered value too, and a step that uses what was published."""
    good = [
        (n, word) for n, word in enumerate(words) if carried(word) and "\ue000" not in word and "\ue001" not in word
    ]
    stages = [stage(name, said(publisher), {"v": INIT}, scatter=True) for name, publisher in PUBLISHERS.items()]
    value = {"expression_type": "stage-output-selector", "stages": "frompar", "output": "o"}
    stages[0]["scheduler"]["register_values"] = {"r": value}
    stages.append(stage("registered", said(FROMPAR), {"v": {"expression_type": "fromvalue", "key": "r"}}))
    stages.append(stage("next", said(FROMPAR), {"v": {"stages": "interpolated", "output": "o"}}))
    finished = place.run(parsed(*stages), [word for _, word in good])
    wrong: Wrong = []
    lists = {name: finished.record(StepId(name)).published["o"] for name in ("registered", "next")}
    for index, (n, word) in enumerate(good):
        found = {name: finished.record(StepId(name, index)).published["o"] for name in PUBLISHERS}
        found |= {name: values[index] for name, values in lists.items()}
        wrong += [(n, f"{name} publishes {value!r:.80}") for name, value in found.items() if value != word]
    return wrong


def inside(value: Any) -> bool:
    """Whether a published value names nothing outside of its directory."""
    if isinstance(value, list):
        return all(inside(item) for item in value)
    return not isinstance(value, str) or ".." not in os.path.normpath(value).split("/")


def files(place: Place, words: Sequence[str]) -> Wrong:
    """Init values that look like files: those of the initdir are found, nothing else is."""
    wrong: Wrong = []
    relative = {"publisher_type": "fromparjq-pub", "script": "{o: .v}", "relative_paths": True, "glob": True}
    for n, word in enumerate(words):
        with refusing(n, wrong):
            flow = parsed(stage("one", said(FROMPAR), {"v": INIT}), stage("two", said(relative), {"v": INIT}))
            finished = place.run(flow, word, initdir=True)
            for record in finished.records:
                value = record.document()["published"]["o"]
                if value != word and not word.startswith("b64json://") and not inside(value):
                    wrong.append((n, f"{word!r:.80} became {value!r:.80}"))
    return wrong


def said_by_the_specification(place: Place, words: Sequence[str]) -> Wrong:
    """Names, wildcards, files to read and jq programs that are hostile themselves: inside, or refused."""
    touch = command("echo > file", FROMPAR)
    wrong: Wrong = []
    for n, word in enumerate(words):
        glob = {"publisher_type": "fromglob-pub", "globexpression": word, "outputkey": "o"}
        read = {"publisher_type": "fromyaml-pub", "yamlfile": word}
        text_ = {"publisher_type": "interpolated-pub", "publish": {"o": "{workdir}/" + word}, "glob": True}
        constant = {"publisher_type": "constant-pub", "publish": {"o": word, word: 1}}
        jq = {"publisher_type": "fromparjq-pub", "script": word}
        bodies: dict[str, Mapping[str, Any]] = {"constant": said(constant), "jq": said(jq), "read": said(read)}
        bodies |= {"glob": said(glob), "text": said(text_), "name": said(FROMPAR)}
        bodies["shown"] = said({"publisher_type": "interpolated-pub", "publish": word})
        if n % 10 == 0:
            bodies |= {"glob": {**touch, "publisher": glob}, "text": {**touch, "publisher": text_}}
            bodies["command"] = command(f": {word}", FROMPAR, NOTHING)
            bodies["interpreter"] = script("true", word if word.isidentifier() else "sh", FROMPAR)
        for name, body in bodies.items():
            with refusing(n, wrong):
                flow = parsed(stage(word if name == "name" else "one", body, {"v": 1, word: 2}))
                finished = place.run(flow)
                value = finished.records[0].document()["published"]
                if name in ("glob", "read") and not inside(value.get("o")):
                    wrong.append((n, f"{name} publishes {value!r:.80}"))
    return wrong


def contained(place: Place, words: Sequence[str], docker: Docker) -> Wrong:
    """In containers: a list of words, par_mounts, the environment, and the directory that a command starts in."""
    good = [(n, word) for n, word in enumerate(words) if carried(word) and len(word) < 1000]
    clean = [word for _, word in good if "\ue000" not in word and "\ue001" not in word]
    image = {"environment_type": "docker-encapsulated", "image": IMAGE[0], "imagetag": IMAGE[1]}
    image |= {"env": {f"E{n}": word for n, (_, word) in enumerate(good)}}
    image |= {"par_mounts": [{"jqscript": ".clean", "mountpath": "/tmp/clean.json"}]}
    show = "cd {here}; printf '%s\\0' {v} > words; cat /proc/self/environ > environment; cat /tmp/clean.json > clean"
    parameters = {"v": INIT, "clean": INIT | {"output": "w"}, "here": "{workdir}"}
    flow = parsed(stage("one", command(show, FROMPAR, image), parameters))
    place.count += 1
    work = Work(workflow=flow, initdata={"v": [word for _, word in good], "w": clean})
    local = Local(runtime=docker, jobs=1, cache=None)
    finished = local.execute(work, directory=place.root / f"run{place.count}", observer=lambda event: None)
    where = finished.directory / "one/0"
    found = (where / "words").read_bytes().split(b"\0")[:-1]
    environment = dict(line.partition(b"=")[::2] for line in (where / "environment").read_bytes().split(b"\0"))
    wrong: Wrong = [] if len(found) == len(good) else [(ALL, "not as many words as were given")]
    wrong += [(n, f"arrived as {got!r}") for (n, word), got in zip(good, found, strict=False) if got != utf8(word)]
    for index, (n, word) in enumerate(good):
        if environment.get(f"E{index}".encode()) != utf8(word):
            wrong.append((n, f"the variable is {environment.get(f'E{index}'.encode())!r}"))
    if json.loads((where / "clean").read_bytes()) != clean:
        wrong.append((ALL, "par_mounts changed a value"))
    return wrong


# --- batches ----------------------------------------------------------------------------------------------------------


def check(words: Sequence[str], checks: Iterable[Callable[[Place, Sequence[str]], Wrong]]) -> Wrong:
    """What is wrong with payloads, by their indices."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as root:
        place = Place(Path(root))
        real = [word.replace(CANARY, str(place.canary)) for word in words]
        wrong: Wrong = []
        for one_check in checks:
            try:
                wrong += one_check(place, real)
            except Exception as error:  # noqa: BLE001  # no payload may cause any
                wrong.append((ALL, f"{one_check.__name__}: {type(error).__name__}: {error}"[:500]))
            if outside := place.escaped():
                return [*wrong, (ALL, f"{one_check.__name__}: {outside}")]
        return wrong


CHECKS = (literal, refused, published, files, said_by_the_specification)


@functools.lru_cache(maxsize=4)
def batch(number: int) -> Wrong:
    words = [payload(number * BATCH + n) for n in range(BATCH)]
    checks: list[Callable[[Place, Sequence[str]], Wrong]] = list(CHECKS)
    if number % CONTAINERS == 0 and shutil.which("docker"):
        checks.append(lambda place, given: contained(place, given, Docker()))
    return check(words, checks)


def one(seed: int) -> str | None:
    number, index = divmod(seed, BATCH)
    found = [what for n, what in batch(number) if n == index or (n == ALL and index == 0)]
    return f"{payload(seed)!r:.60}: {'; '.join(found)}"[:2000] if found else None
