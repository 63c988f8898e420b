"""What a script did, command by command: a tree of processes, looked at from the shell that runs the script.

A top-level command is what the shell starts, with all that this starts in turn. What the shell itself writes (`echo`,
here-documents) is a command of its own, with the text. Where the traced program is no shell, it is the one command.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from recast_dm.capsule.tracing.strace import FORKS, Argument, Call, Cut, Descriptor, Event, Exit

Kind = Literal["shell", "wrapper", "program"]
"""What runs a program: a shell; `env` and its like, which become what they start; anything else."""
What = Literal["read", "write", "change", "remove", "make", "list"]
"""To a file: read, write anew, change as it is, remove; to a directory: make, list."""


@dataclass(slots=True)
class Access:
    """One thing that a command did to a path. `named` is what the command called it, made absolute."""

    what: What
    path: str
    named: str
    time: int
    origin: str = ""
    """Of a file that was renamed: its name before."""


@dataclass(frozen=True, slots=True)
class Redirection:
    """`operator` is <, >, >> or <>, or >& with a descriptor for `path`."""

    number: int
    operator: str
    path: str


@dataclass(slots=True)
class Command:
    """What the shell started. `program` is the file that was executed, `words` its argv; `text` what a shell wrote.

    `environment` are the variables that the script set. Pipes are named by what the kernel calls them.
    """

    time: int
    words: tuple[str, ...]
    program: str
    cwd: str
    pid: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    redirections: tuple[Redirection, ...] = ()
    reads_pipe: str = ""
    writes_pipes: frozenset[str] = frozenset()
    text: bytes | None = None
    cut: bool = False
    code: int | None = None
    accesses: list[Access] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Traced:
    """All of a script: `read` are the files that the shell itself read, `inherited` the environment it found."""

    commands: list[Command] = field(default_factory=list)
    code: int | None = None
    cwd: str = "/"
    read: dict[str, None] = field(default_factory=dict)
    inherited: Mapping[str, str] = field(default_factory=dict)
    programs: list[str] = field(default_factory=list)
    connections: list[str] = field(default_factory=list)
    is_script: bool = False
    shared_input: dict[str, None] = field(default_factory=dict)


def follow(events: Iterable[Event], kind: Callable[[str], Kind], cwd: str) -> Traced:
    """What the events of a log say. `kind` tells what runs a file; `cwd` is where the traced program was started."""
    return _Tree(kind, cwd).follow(events)


# --- processes -------------------------------------------------------------------------------------------------------

_OWN = re.compile(r"_|PWD|OLDPWD|SHLVL|LINES|COLUMNS|BASH_FUNC_.*")
"""Variables that shells set by themselves."""
_PIPE = re.compile(r"pipe:\[\d+\]")
_INTERNET = re.compile(r"sa_family=AF_INET6?\b")
_ADDRESS = re.compile(r'inet_(?:addr|pton)\((?:AF_INET6, )?"([^"]+)"')
_PORT = re.compile(r"htons\((\d+)\)")


@dataclass(slots=True)
class _Open:
    """An open file: what descriptors that were duplicated share. `users` are the commands that got it."""

    path: str
    mode: Literal["read", "write", "change", "both", "other"]
    named: str = ""
    time: int = 0
    by_shell: bool = False
    users: int = 0
    writer: Command | None = None


@dataclass(slots=True)
class _Process:
    pid: int
    cwd: str
    files: dict[int, _Open]
    closing: set[int]
    command: Command | None = None
    is_shell: bool = False
    born: int | None = None
    """When it was made, as long as it has made no process itself: pipelines are in this order, whoever is faster."""


class _Tree:
    def __init__(self, kind: Callable[[str], Kind], cwd: str) -> None:
        self._kind = kind
        self._clock = itertools.count()
        self._processes: dict[int, _Process] = {}
        self._first: _Process | None = None
        self._opened: list[_Open] = []
        self._forked = False
        self.traced = Traced(cwd=cwd)

    def follow(self, events: Iterable[Event]) -> Traced:
        for event in events:
            process = self._process(event.pid)
            if isinstance(event, Exit):
                self._exit(process, event.code)
            elif event.name in FORKS:
                self._fork(process, event)
            elif event.name == "execve":
                self._execute(process, event)
            else:
                self._call(process, event)
        for opened in self._opened:
            if opened.mode == "write" and not opened.users and opened.writer is None:
                self._wrote(opened, b"", self.traced.cwd)  # `: > file`
        for command in self.traced.commands:
            command.accesses.sort(key=lambda access: access.time)
        self.traced.commands.sort(key=lambda command: command.time)
        return self.traced

    def _process(self, pid: int) -> _Process:
        if pid not in self._processes:
            known = self._first
            made = _Process(pid, known.cwd if known else self.traced.cwd, {}, set(), known.command if known else None)
            self._first = known or made
            self._processes[pid] = made
        return self._processes[pid]

    def _exit(self, process: _Process, code: int) -> None:
        if process is self._first:
            self.traced.code = code
        if process.command is not None and process.command.pid == process.pid:
            process.command.code = code

    def _fork(self, process: _Process, call: Call) -> None:
        flags = " ".join(str(argument) for argument in call.arguments)
        self._forked = self._forked or process.is_shell
        process.born = None
        self._processes[call.result] = _Process(
            call.result,
            process.cwd,
            process.files if "CLONE_FILES" in flags else dict(process.files),
            process.closing if "CLONE_FILES" in flags else set(process.closing),
            process.command,
            process.is_shell,
            next(self._clock),
        )

    # --- what becomes a command --------------------------------------------------------------------------------------

    def _execute(self, process: _Process, call: Call) -> None:
        program = _named(process.cwd, None, call.arguments[0])
        words = tuple(_text(word) for word in _tuple(call.arguments[1]))
        found = dict(_text(word).partition("=")[::2] for word in _tuple(call.arguments[2]))
        if process is self._first and not self.traced.inherited:
            self.traced.inherited = found
        for number in process.closing:
            process.files.pop(number, None)
        process.closing.clear()
        kind = self._kind(program) if self._becomes_script(process) else "program"
        if kind == "shell":
            process.is_shell, process.command, self.traced.is_script = True, None, True
            self.traced.commands.clear()
            self.traced.programs.append(program)
        elif process.command is None:
            self._start(process, program, words, found)
        if process.command is not None:
            process.command.programs.append(program)
            process.command.cut |= any(isinstance(word, Cut) for word in _tuple(call.arguments[1]))
            process.command.accesses.append(Access("read", program, program, next(self._clock)))

    def _becomes_script(self, process: _Process) -> bool:
        """`env bash run.sh` is a script only when env has become bash: as long as nothing was started."""
        if process is not self._first or self._forked or process.is_shell:
            return False
        command = process.command
        return command is None or self._kind(command.program) == "wrapper"

    def _start(self, process: _Process, program: str, words: tuple[str, ...], found: Mapping[str, str]) -> None:
        inherited = self.traced.inherited
        changed = {
            key: value for key, value in found.items() if inherited.get(key) != value and not _OWN.fullmatch(key)
        }
        time = next(self._clock) if process.born is None else process.born
        command = Command(time, words, program, process.cwd, process.pid, changed)
        command.redirections = tuple(self._redirections(process, command))
        command.reads_pipe = _pipe(process.files.get(0))
        command.writes_pipes = frozenset(filter(None, (_pipe(process.files.get(n)) for n in (1, 2))))
        for number in (1, 2):
            if _pipe(process.files.get(number)):
                process.files[number].writer = command
        process.command, process.is_shell = command, False
        self.traced.commands.append(command)

    def _redirections(self, process: _Process, command: Command) -> Iterable[Redirection]:
        """What the shell opened for a command: files, and descriptors that are the same as others."""
        seen: dict[int, int] = {}
        for number, opened in sorted(process.files.items()):
            if id(opened) in seen and number < 10:
                if opened.by_shell or (_pipe(opened) and number <= 2):  # further ends of a pipe were left open
                    yield Redirection(number, ">&", str(seen[id(opened)]))
                continue
            if number < 10:
                seen[id(opened)] = number
            if not opened.by_shell or number >= 10 or opened.mode == "other":
                continue
            if opened.mode == "read" and opened.users:
                self.traced.shared_input[opened.path] = None
                continue
            yield Redirection(number, self._operator(opened), opened.path)
            self._use(opened, command)

    @staticmethod
    def _operator(opened: _Open) -> str:
        if opened.mode == "write" and opened.users:
            return ">>"
        return {"read": "<", "write": ">", "change": ">>", "both": "<>"}.get(opened.mode, "<")

    def _use(self, opened: _Open, command: Command) -> None:
        """A command gets a file that the shell opened: the second one goes on where the first one stopped."""
        again = opened.users > 0
        time = next(self._clock) if again else opened.time
        what: What = "read" if opened.mode == "read" else "write" if opened.mode == "write" and not again else "change"
        command.accesses.append(Access(what, opened.path, opened.named, time))
        opened.users += 1
        opened.writer = command

    def _wrote(self, opened: _Open, text: bytes, cwd: str, *, cut: bool = False) -> None:
        """The shell itself wrote to a file, or into a pipe."""
        writer = opened.writer
        if writer is not None and writer.text is not None:
            writer.text += text
            writer.cut |= cut
            return
        command = Command(next(self._clock), (), "", cwd, text=text, cut=cut)
        if pipe := _pipe(opened):
            command.writes_pipes = frozenset({pipe})
            opened.writer = command
        else:
            command.redirections = (Redirection(1, self._operator(opened), opened.path),)
            self._use(opened, command)
        self.traced.commands.append(command)

    # --- files -------------------------------------------------------------------------------------------------------

    def _call(self, process: _Process, call: Call) -> None:
        name, arguments = call.name, call.arguments
        if name in ("open", "openat", "openat2", "creat"):
            self._open(process, call)
        elif name in ("pipe", "pipe2"):
            self._pipes(process, call)
        elif name in ("dup", "dup2", "dup3", "fcntl", "close", "close_range"):
            self._descriptors(process, call)
        elif name == "chdir":
            process.cwd = _named(process.cwd, None, arguments[0])
        elif name == "fchdir" and isinstance(arguments[0], Descriptor):
            process.cwd = arguments[0].path or process.cwd
        elif name == "connect":
            self._connect(process, arguments)
        elif name == "write":
            self._write(process, arguments)
        else:
            self._name(process, call)

    def _open(self, process: _Process, call: Call) -> None:
        directory, path, *rest = call.arguments if call.name.startswith("openat") else (None, *call.arguments)
        named = _named(process.cwd, directory, path)
        flags = "O_WRONLY|O_CREAT|O_TRUNC" if call.name == "creat" else str(rest[0]) if rest else ""
        mode = _mode(flags)
        real = call.opened or named
        opened = _Open(real, mode, named, next(self._clock), process.is_shell)
        if "O_CREAT" in flags and "O_EXCL" in flags and mode == "both":
            opened.mode = "write"
        if (
            not real.startswith("/")
            or real.startswith(("/proc/", "/sys/"))
            or (real.startswith("/dev/") and real != "/dev/null")
        ):
            opened.mode = "other"
        process.files[call.result] = opened
        process.closing.discard(call.result)
        if "O_CLOEXEC" in flags:
            process.closing.add(call.result)
        if "O_DIRECTORY" in flags:
            opened.mode = "other"
            self._access(process, Access("list", real, named, opened.time))
        elif "O_PATH" in flags or real == "/dev/null" or opened.mode == "other":
            return
        elif process.is_shell:
            self._opened.append(opened)
            if opened.mode == "read":
                self.traced.read[real] = None
        else:
            what: What = {"read": "read", "write": "write"}.get(opened.mode, "change")  # type: ignore[assignment]
            self._access(process, Access(what, real, named, opened.time))

    def _access(self, process: _Process, access: Access) -> None:
        if process.command is not None:
            process.command.accesses.append(access)

    @staticmethod
    def _pipes(process: _Process, call: Call) -> None:
        for end in _tuple(call.arguments[0]):
            if isinstance(end, Descriptor) and end.number is not None:
                process.files[end.number] = _Open(end.path, "other")
                closes = "O_CLOEXEC" in str(call.arguments[-1])
                (process.closing.add if closes else process.closing.discard)(end.number)

    def _descriptors(self, process: _Process, call: Call) -> None:
        name, arguments = call.name, call.arguments
        if name == "close_range":
            first, last = int(str(arguments[0]), 0), int(str(arguments[1]), 0)
            for number in [n for n in process.files if first <= n <= last]:
                process.files.pop(number)
            return
        source = arguments[0]
        if not isinstance(source, Descriptor) or source.number is None:
            source = Descriptor(int(str(source)) if str(source).lstrip("-").isdigit() else -1)
        number = source.number if source.number is not None else -1
        if name == "close":
            process.files.pop(number, None)
        elif name == "fcntl" and str(arguments[1]) == "F_SETFD":
            (process.closing.add if "FD_CLOEXEC" in str(arguments[2]) else process.closing.discard)(number)
        elif name != "fcntl" or str(arguments[1]).startswith("F_DUPFD"):
            self._duplicate(process, call, number)

    def _duplicate(self, process: _Process, call: Call, number: int) -> None:
        opened = process.files.get(number)
        if opened is None:
            process.files.pop(call.result, None)  # what we were started with
        else:
            process.files[call.result] = opened
        stays = "CLOEXEC" not in " ".join(str(argument) for argument in call.arguments[1:])
        (process.closing.discard if stays else process.closing.add)(call.result)

    def _connect(self, process: _Process, arguments: tuple[Argument, ...]) -> None:
        text = str(arguments[1]) if len(arguments) > 1 else ""
        if not _INTERNET.search(text):
            return
        address, port = _ADDRESS.search(text), _PORT.search(text)
        shown = f"{address[1] if address else '?'}:{port[1] if port else '?'}"
        place = process.command.connections if process.command else self.traced.connections
        if shown not in place:
            place.append(shown)

    def _write(self, process: _Process, arguments: tuple[Argument, ...]) -> None:
        target, content = arguments[0], arguments[1]
        if not process.is_shell or not isinstance(target, Descriptor) or target.number is None:
            return
        opened = process.files.get(target.number)
        text = content.text if isinstance(content, Cut) else content
        if opened is None or opened.path == "/dev/null" or not isinstance(text, bytes):
            return
        if opened.by_shell or _pipe(opened):
            self._wrote(opened, text, process.cwd, cut=isinstance(content, Cut))

    def _name(self, process: _Process, call: Call) -> None:
        """Calls that take names: rename, link, symlink, unlink, mkdir, truncate, chmod."""
        names, time = _names(process.cwd, call), next(self._clock)
        command = process.command
        if command is None or not names:
            return
        last, first = names[-1], names[0]
        if call.name.startswith("rename"):
            command.accesses.append(Access("write", last, last, time, first))
        elif call.name in ("link", "linkat"):
            command.accesses.append(Access("read", first, first, time))
            command.accesses.append(Access("write", last, last, time))
        else:
            what: dict[str, What] = {"symlink": "write", "unlink": "remove", "mkdir": "make"}
            found: What = next((kind for start, kind in what.items() if call.name.startswith(start)), "change")
            command.accesses.append(Access(found, last, last, time))


def _mode(flags: str) -> Literal["read", "write", "change", "both", "other"]:
    if "O_WRONLY" in flags:
        return "write" if "O_TRUNC" in flags or "O_EXCL" in flags else "change"
    if "O_RDWR" in flags:
        return "write" if "O_TRUNC" in flags else "both"
    return "read"


def _names(cwd: str, call: Call) -> list[str]:
    """The absolute names in a call's arguments, each with the descriptor of its directory before it, if any."""
    found: list[str] = []
    directory: Argument | None = None
    for n, argument in enumerate(call.arguments):
        if isinstance(argument, Descriptor):
            directory = argument
        elif isinstance(argument, bytes):
            if call.name.startswith("symlink") and n == 0:
                continue  # what it leads to may be anything
            found.append(_named(cwd, directory, argument))
            directory = None
    return found


def _named(cwd: str, directory: Argument | None, name: Argument | None) -> str:
    base = directory.path if isinstance(directory, Descriptor) and directory.path else cwd
    return posixpath.normpath(posixpath.join(base, _text(name)))


def _text(word: Argument | None) -> str:
    content = word.text if isinstance(word, Cut) else word
    return content.decode("utf-8", "surrogateescape") if isinstance(content, bytes) else str(content)


def _tuple(argument: Argument) -> tuple[Argument, ...]:
    return argument if isinstance(argument, tuple) else ()


def _pipe(opened: _Open | None) -> str:
    return opened.path if opened is not None and _PIPE.fullmatch(opened.path) else ""
