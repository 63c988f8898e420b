"""The draft: yadage stages of traced steps, and what has to be copied for them.

A step runs in its work directory, where everything lies as it did when the script ran: programs are copied there,
inputs that a command finds by itself, too; inputs and outputs that are named on a command line are parameters.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast_dm.capsule.tracing import provenance
from recast_dm.capsule.tracing.commands import Command, Traced
from recast_dm.capsule.tracing.facts import Facts
from recast_dm.capsule.tracing.literals import TEXT, Literals
from recast_dm.capsule.tracing.provenance import Owner
from recast_dm.capsule.tracing.steps import Flow, Step, Use
from recast_dm.capsule.tracing.words import BUILTIN, Pieces, Placeholder, identifier, printing, quoted, replaced, word
from recast_dm.errors import UsageError

HERE = Placeholder("here")
CODE = "/analysis"
"""Where the image has the programs that lay in the script's directory."""
TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108  # the container's: a step can write there, and nobody sees it later
LARGE = 256 * 1024 * 1024
"""Bytes of an input that is not copied for a command that finds it by itself."""


@dataclass(slots=True)
class Draft:
    """`data` are init files by their names, `code` files of the script's directory, `outside` others by their places.

    `left_out` are commands without lasting results; `findings` are sentences for the user.
    """

    name: str
    image: str
    stages: list[dict[str, Any]] = field(default_factory=list)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    initdata: dict[str, Any] = field(default_factory=dict)
    results: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    outside: dict[str, None] = field(default_factory=dict)
    owners: dict[Owner, None] = field(default_factory=dict)
    not_copied: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


def draft(traced: Traced, flow: Flow, literals: Literals, facts: Facts, name: str, image: str) -> Draft:
    """The draft of a traced script. Raises UsageError where it wrote nothing that could be a result."""
    return _Drafter(traced, flow, literals, facts, Draft(name, image)).draft()


class _Drafter:
    def __init__(self, traced: Traced, flow: Flow, literals: Literals, facts: Facts, into: Draft) -> None:
        self._traced, self._flow, self._literals, self.facts, self._draft = traced, flow, literals, facts, into
        self.top = traced.cwd
        self._numbers = {id(command): n for n, command in enumerate(traced.commands)}
        self.stages: dict[int, str] = {}
        self._files: dict[str, str] = {}  # init files by their paths: the init parameters
        self.published: dict[tuple[int, str], str] = {}
        self._secrets = {
            key: value
            for key, value in traced.inherited.items()
            if provenance.SECRET_VARIABLE.search(key) and len(value) >= 6
        }

    def draft(self) -> Draft:
        kept = {n: step for n, step in enumerate(self._flow.steps) if step.wanted}
        if not kept:
            raise UsageError(
                "the command wrote no file in this directory that is still there: there is nothing to preserve",
                hint="let it write its results to files, and start it in the directory where they go",
            )
        self._draft.initdata.update(self._literals.values)
        for n, step in kept.items():
            self.stages[n] = identifier(_called(step), self.stages.values(), "step")
        for n, step in kept.items():
            self._stage(n, step)
            self._draft.results += [
                f"{self.stages[n]}/{self.inside(path)}"
                for path in step.wanted
                if self._flow.last.get(path) == n and self._relative(path) and self.facts.exists(path)
            ]
        used = {name for stage in self._draft.stages for name in _init_parameters(stage)}
        for name in set(self._draft.initdata) - used:
            del self._draft.initdata[name]  # it stood in a command that is left out
        self._own_programs()
        self._left_out()
        return self._draft

    # --- where things lie --------------------------------------------------------------------------------------------

    def _relative(self, path: str) -> str | None:
        """A path below the script's directory."""
        return path.removeprefix(f"{self.top}/") if path.startswith(f"{self.top}/") else None

    def inside(self, path: str) -> str:
        """Where a step leaves a file, in its work directory."""
        return self._relative(path) or f"outside{path}"

    def _stage(self, n: int, step: Step) -> None:
        room = _Room(self, n, step)
        script = room.script()
        texts = [script, *room.parameters.values(), *self._draft.initdata.values()]
        if any("\ud800" <= character <= "\udfff" for text in texts for character in str(text)):
            raise UsageError("a name in the trace is not UTF-8: no specification can hold it", hint="rename the file")
        name = self.stages[n]
        producers = sorted({use.producer for use in step.uses.values() if use.producer in self.stages})
        self._draft.stages.append(
            {
                "name": name,
                "dependencies": [self.stages[producer] for producer in producers] or ["init"],
                "scheduler": {
                    "scheduler_type": "singlestep-stage",
                    "parameters": room.parameters,
                    "step": {"$ref": f"steps.yml#/{name}"},
                },
            }
        )
        image, _, tag = self._draft.image.rpartition(":")
        self._draft.steps[name] = {
            "process": {"process_type": "string-interpolated-cmd", "cmd": script},
            "environment": {"environment_type": "docker-encapsulated", "image": image, "imagetag": tag},
            "publisher": {"publisher_type": "interpolated-pub", "publish": room.publish, "glob": False},
        }

    # --- what a step needs that no step gives ------------------------------------------------------------------------

    def source(self, use: Use) -> str:
        """What a file is to the draft: `data`, `code`, `image`; or nothing that has to be brought along."""
        path = provenance.source(use.path)
        owner = self.facts.owner(path)
        if owner.kind in ("package", "distribution", "interpreter"):
            if not (owner.kind == "distribution" and provenance.is_startup(path)):
                self._draft.owners[owner] = None
            return ""
        if owner.kind == "machine" or not self.facts.is_file(path):
            return self._absent(use, path) if owner.kind == "nobody" else ""
        if owner.kind in ("secret", "personal"):
            self._draft.not_copied[path] = owner.kind
            return ""
        return self._program_file(path) if self.facts.is_code(path) else self._init_file(path)

    def _program_file(self, path: str) -> str:
        self._interpreter(path)
        relative = self._relative(path)
        if relative is not None:
            self._draft.code[relative] = path
            return "code"
        if path.startswith(TEMPORARY):
            return self._init_file(path)
        self._draft.outside[path] = None
        return "image"

    def _interpreter(self, path: str) -> None:
        """The kernel starts what `#!` names: no traced process opens it."""
        interpreter = self.facts.interpreter(path)
        owner = self.facts.owner(interpreter) if interpreter else Owner("nobody")
        if owner.kind in ("package", "distribution", "interpreter"):
            self._draft.owners[owner] = None

    def _absent(self, use: Use, path: str) -> str:
        if not self.facts.exists(path):
            self.finding(f"{self.shown(path)} was read, and is gone now: the draft lacks it")
        elif use.producer is None and not self.facts.is_directory(path):
            self.finding(f"{self.shown(path)} is no regular file: the draft lacks it")
        return ""

    def _init_file(self, path: str) -> str:
        if path not in self._files:
            relative = self._relative(path) or Path(path).name
            names = self._draft.data
            place = next(p for k in range(len(names) + 1) if (p := f"{k}/{relative}" if k else relative) not in names)
            names[place] = path
            self._files[path] = identifier(Path(path).name, self._draft.initdata)
            self._draft.initdata[self._files[path]] = place
        return "data"

    def selector(self, use: Use) -> dict[str, str]:
        """Where a stage takes a file from."""
        if use.producer is None:
            return {"step": "init", "output": self._files[provenance.source(use.path)]}
        return {"step": self.stages[use.producer], "output": self.published[use.producer, use.path]}

    def publish(self, n: int, path: str, name: str) -> None:
        self.published[n, path] = name

    # --- texts -------------------------------------------------------------------------------------------------------

    def pieces(self, command: Command, place: int | str, text: str) -> Pieces:
        """A literal with its parameters in it, the script's directory as a parameter too, and without secrets."""
        found = self._literals.pieces.get((self._numbers[id(command)], place), (text,))
        for key, value in self._secrets.items():
            if any(isinstance(piece, str) and value in piece for piece in found):
                self.finding(f"a command got the value of {key}, which is a secret: the draft says REMOVED instead")
                found = tuple(p.replace(value, "REMOVED") if isinstance(p, str) else p for p in found)
        return replaced(found, self.top, HERE)

    def hidden(self, key: str, value: str) -> bool:
        """Whether a variable may not be written down."""
        return bool(provenance.SECRET_VARIABLE.search(key)) or any(each in value for each in self._secrets.values())

    def program(self, command: Command) -> str:
        """The first word of a command, so that the image has it."""
        first, program = command.words[0], command.program
        owner = self.facts.owner(program)
        if owner.kind == "interpreter":
            name = Path(program).name
            return "python3" if name.startswith("python") else quoted(name)
        if owner.kind == "distribution":
            return quoted(Path(program).name)
        if owner.kind == "nobody" and (relative := self._relative(program)) is not None:
            return word((HERE, f"/{relative}")) if "/" not in first or first.startswith("/") else quoted(first)
        if owner.kind == "package" and first not in BUILTIN and "=" not in first:
            return quoted(first)
        if owner.kind in ("personal", "secret"):
            self.finding(f"{program} is a personal program and was not copied: install it in the Dockerfile")
        return quoted(program)

    def finding(self, text: str) -> None:
        if text not in self._draft.findings:
            self._draft.findings.append(text)

    def shown(self, path: str) -> str:
        return self._relative(path) or path

    # --- what else is said -------------------------------------------------------------------------------------------

    def _own_programs(self) -> None:
        """The script itself, and what else the shell read of nobody's: for whoever reads the draft."""
        for path in self._traced.read:
            relative = self._relative(path)
            if self.facts.owner(path).kind != "nobody" or not self.facts.is_file(path):
                continue
            if relative is not None and self.facts.is_code(path):
                self._draft.code.setdefault(relative, path)
            elif not any(path in step.uses for step in self._flow.steps):
                self.finding(
                    f"the script itself read {self.shown(path)}: what it made of it is fixed in the draft's commands"
                )

    def _left_out(self) -> None:
        for step in self._flow.steps:
            if not step.wanted:
                self._draft.left_out += [" ".join(command.words) or "(text of the shell)" for command in step.commands]


def _init_parameters(stage: Mapping[str, Any]) -> list[str]:
    """The init parameters that a stage takes."""
    values = stage["scheduler"]["parameters"].values()
    return [value["output"] for value in values if isinstance(value, dict) and value["step"] == "init"]


def _called(step: Step) -> str:
    """What a step may be called: its script, or its last program."""
    programs = [command for command in step.commands if command.words]
    if not programs:
        return f"write_{Path(next(iter(step.wanted))).stem}"
    last = max(programs, key=lambda command: not command.writes_pipes)
    named = [Path(text).stem for text in last.words[1:3] if Path(text).suffix in provenance.CODE]
    return named[0] if named else Path(last.words[0]).stem


# --- one step --------------------------------------------------------------------------------------------------------


class _Room:
    """The script of one step: puts things into place, runs the commands, and clears away."""

    def __init__(self, drafter: _Drafter, n: int, step: Step) -> None:
        self._drafter, self._n, self._step = drafter, n, step
        self._top = drafter.top  # one thing in two classes
        self.parameters: dict[str, Any] = {HERE.name: "{workdir}"}
        self.publish: dict[str, Any] = {}
        self._by_name: dict[str, Placeholder] = {}
        self._inputs: dict[str, str] = {}
        self._copies: dict[str, str] = {}
        self._code: dict[str, None] = {}
        self._outputs: dict[str, Placeholder] = {}

    def script(self) -> str:
        mentioned = self._mentioned()
        for path in self._step.wanted:
            self._output(path)
        for use in list(self._step.uses.values()):
            self._input(use, mentioned)
        commands = self._commands()
        directories = self._directories()
        lines = ["set -e", f"cd {word((HERE,))}"]
        lines += [f"mkdir -p {' '.join(quoted(each) for each in directories)}"] * bool(directories)
        lines += [f"cp {quoted(f'{CODE}/{name}')} {quoted(name)}" for name in self._code]
        lines += [f"{self._bring(place)} {{{name}}} {quoted(place)}" for place, name in self._inputs.items()]
        for place, parameter in self._copies.items():
            lines += [f"cp {{{parameter}}} {quoted(place)}", f"chmod u+w {quoted(place)}"]
        lines += self._exports()
        lines += commands
        clear = [place for place in (*self._code, *self._inputs) if self._absolute(place) not in self._step.outputs]
        lines += [f"cd {word((HERE,))}"] * any(line.startswith("cd ") for line in commands)
        lines += [f"rm -f {' '.join(quoted(place) for place in clear)}"] * bool(clear)
        for path in self._step.wanted:
            if path.startswith(TEMPORARY) and not self._below(path) and path not in self._by_name:
                inside = f"outside{path}"
                lines += [f"cp {quoted(path)} {quoted(inside)}"]
        return "\n".join(lines) + "\n"

    def _below(self, path: str) -> bool:
        return path.startswith(f"{self._top}/")

    def _absolute(self, place: str) -> str:
        return posixpath.join(self._top, place)

    def _place(self, path: str) -> str | None:
        """Where a path of the traced run lies for this step: in its work directory, or at a place of its own."""
        if self._below(path):
            return path.removeprefix(f"{self._top}/")
        return path if path.startswith(TEMPORARY) else None

    # --- inputs and outputs ------------------------------------------------------------------------------------------

    def _mentioned(self) -> dict[str, list[str]]:
        """The paths that stand on the command lines, each with the words that it stands in."""
        found: dict[str, list[str]] = {}
        for command in self._step.commands:
            for text in command.words[1:]:
                for _, name in _candidates(text):
                    found.setdefault(posixpath.normpath(posixpath.join(command.cwd, name)), []).append(name)
            for redirection in command.redirections:
                found.setdefault(redirection.path, [])
        return found

    def _output(self, path: str) -> None:
        name = identifier(Path(path).name, self.parameters)
        inside = self._drafter.inside(path)
        self.parameters[name] = f"{{workdir}}/{inside}"
        self.publish[name] = f"{{{name}}}"
        self._drafter.publish(self._n, path, name)
        self._outputs[path] = Placeholder(name)
        use = self._step.uses.get(path)
        words = self._mentioned().get(self._step.outputs.get(path, path))
        if words is None and not self._below(path) and not path.startswith(TEMPORARY):
            self._drafter.finding(
                f"{path} is written outside of the script's directory, where no container writes: change {self._who()}"
            )
        if words is not None and not (use and use.changed) and not self._shows(words):
            for named in (path, self._step.outputs.get(path, path)):
                self._by_name[named] = Placeholder(name)

    def _who(self) -> str:
        return f"the stage {self._drafter.stages[self._n]!r}"

    def _input(self, use: Use, mentioned: Mapping[str, list[str]]) -> None:
        source = "step" if use.producer is not None else self._drafter.source(use)
        if source == "code":
            place = self._place(provenance.source(use.path))
            if place is not None:
                self._code[place] = None
            return
        if source not in ("step", "data"):
            return
        name = identifier(Path(use.path).name, self.parameters)
        names = [*use.named, use.path]
        words = next((mentioned[each] for each in names if each in mentioned), None)
        if use.producer is not None and (use.producer, use.path) not in self._drafter.published:
            return
        self.parameters[name] = self._drafter.selector(use)
        if words is not None and not use.changed and not self._shows(words) and not self._has_company(use):
            for each in names:
                self._by_name[each] = Placeholder(name)
            return
        for place in dict.fromkeys(filter(None, (self._place(each) for each in use.named or [use.path]))):
            (self._copies if use.changed else self._inputs)[place] = name
        if not any(self._place(each) for each in use.named or [use.path]):
            self._drafter.finding(
                f"{use.path} is read by name and lies outside of the script's directory: change {self._who()}"
            )

    def _shows(self, words: list[str]) -> bool:
        """Whether an output holds the name of a file as the command got it: then the name has to stay."""
        facts = self._drafter.facts
        return any(facts.shows(path, name) for path in self._step.wanted for name in words if name)

    def _bring(self, place: str) -> str:
        """How an input gets into its place: as a copy, which is a file to everybody; large ones as links."""
        return "ln -s" if self._drafter.facts.size(self._absolute(place)) > LARGE else "cp"

    def _has_company(self, use: Use) -> bool:
        """Whether the step writes files beside an input, under names that begin like it."""
        stem = posixpath.splitext(use.path)[0]
        return any(
            path.startswith(stem) and path != use.path and path not in self._by_name for path in self._step.outputs
        )

    # --- lines -------------------------------------------------------------------------------------------------------

    def _directories(self) -> list[str]:
        """The directories that were there when the commands were started."""
        needed: dict[str, None] = {}
        for path in (
            *self._step.wanted,
            *self._step.outputs,
            *map(self._absolute, (*self._code, *self._inputs, *self._copies)),
        ):
            needed[posixpath.dirname(path)] = None
        for path in (*self._step.listed, *(command.cwd for command in self._step.commands)):
            if self._below(path):
                needed[path] = None
        made = set(self._step.made)
        places = [
            self._place(path) for path in needed if path != self._top and path not in made and not _under(path, made)
        ]
        beyond = {f"outside{posixpath.dirname(path)}" for path in self._outputs if not self._below(path)}
        return sorted({*(place for place in places if place), *beyond})

    def _exports(self) -> list[str]:
        lines: dict[str, None] = {}
        for command in self._step.commands:
            for key, value in command.environment.items():
                if self._drafter.hidden(key, value):
                    self._drafter.finding(
                        f"the script set the variable {key}, which may be a secret: the draft does not"
                    )
                elif key.isidentifier():
                    lines[f"export {key}={word(self._noted(self._drafter.pieces(command, key, value)))}"] = None
        return list(lines)

    def _commands(self) -> list[str]:
        commands = self._step.commands
        codes = {command.code for command in commands if not command.writes_pipes} - {0, None}
        same = len({command.cwd for command in commands if command.words}) <= 1
        text = self._pipeline([command for command in commands if not self._feeds(command)], same)
        if codes:
            text += f" || [ $? -eq {max(code for code in codes if code)} ]"
            self._drafter.finding(
                f"a command of {self._who()} ended with exit code {max(c for c in codes if c)}, which the draft accepts"
            )
        cwd = next((command.cwd for command in commands if command.words), self._top)
        lines = [text]
        if same and cwd != self._top:
            lines = [self._change(cwd), text]
        return lines

    def _change(self, cwd: str) -> str:
        return f"cd {word(replaced((cwd,), self._top, HERE))}"

    def _feeds(self, command: Command) -> bool:
        return any(other.reads_pipe in command.writes_pipes for other in self._step.commands if other.reads_pipe)

    def _pipeline(self, ends: list[Command], same: bool) -> str:
        """Commands with whatever pipes into them before them."""
        text = "; ".join(self._command(command, same) for command in ends)
        if len(ends) > 1:
            text = f"{{{{ {text}; }}}}"
        pipes = {command.reads_pipe for command in ends} - {""}
        writers = [command for command in self._step.commands if command.writes_pipes & pipes and command not in ends]
        return f"{self._pipeline(writers, same)} | {text}" if writers else text

    def _command(self, command: Command, same: bool) -> str:
        if command.cut:
            self._drafter.finding(f"a text of {self._who()} is longer than what was traced of it: complete it")
        if command.text is not None:
            content = command.text.decode("utf-8", "surrogateescape")
            pieces = self._noted(self._drafter.pieces(command, TEXT, content))
            words = [printing(command.text, None if pieces == (content,) else pieces)]
        else:
            words = [self._drafter.program(command)]
            words += [self._word(command, n, text) for n, text in enumerate(command.words) if n]
        words += [self._redirection(each) for each in command.redirections]
        text = " ".join(words)
        return text if same else f"({self._change(command.cwd)} && {text})"

    def _word(self, command: Command, n: int, text: str) -> str:
        if text.startswith(("/dev/fd/", "/proc/self/fd/")):
            self._drafter.finding(f"{self._who()} has a process substitution, {text}: write a pipe or a file instead")
        for before, name in _candidates(text):
            known = self._by_name.get(posixpath.normpath(posixpath.join(command.cwd, name)))
            if known is not None:
                return word((before, known))
        return word(self._noted(self._drafter.pieces(command, n, text)))

    def _noted(self, pieces: Pieces) -> Pieces:
        """Literals that are init parameters are parameters of the stage, too."""
        for piece in pieces:
            if isinstance(piece, Placeholder) and piece != HERE:
                self.parameters[piece.name] = {"step": "init", "output": piece.name}
        return pieces

    def _redirection(self, redirection: Any) -> str:
        number = "" if redirection.number == (0 if redirection.operator.startswith("<") else 1) else redirection.number
        if redirection.operator == ">&":
            return f"{redirection.number}>&{redirection.path}"
        known = self._by_name.get(redirection.path)
        target = word((known,)) if known else word(replaced((redirection.path,), self._top, HERE))
        return f"{number}{redirection.operator} {target}"


def _under(path: str, directories: set[str]) -> bool:
    return any(path.startswith(f"{directory}/") for directory in directories)


def _candidates(text: str) -> list[tuple[str, str]]:
    """What of a word may name a file: all of it, or what stands behind its first equals sign."""
    head, equals, tail = text.partition("=")
    return [("", text)] + ([(head + equals, tail)] if tail else [])
