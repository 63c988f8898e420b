"""Workflows made at random, for two engines to agree on.

`generate` takes a source of choices: `workflow_of(seed)` gives it a seeded one, so that a campaign can be resumed;
`workflows` is the hypothesis strategy, which shrinks. What it makes is meant to be valid: it knows what kind of value
each stage publishes, how many there are, and which of them a command may use. Values that reach a command are tame,
since upstream substitutes text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import yaml
from hypothesis import strategies as st

MOST_STEPS = 12
WORDS = ("alpha", "beta", "gamma", "mu", "tau", "jet_1", "met.v2", "pt-cut", "E", "x:y", "a=b", "1,5", "50%")
PLAIN_WORDS = ("alpha", "beta", "gamma", "mu", "tau", "jet_1", "met.v2", "pt-cut")
"""Words that YAML reads back as the same words, and that may name files."""
NUMBERS = (0, 1, 2, 7, 13, -3, 1000, 0.5, 2.25, -1.5, 1.0)
ANYTHING: tuple[Any, ...] = (
    *("alpha", 3, 0.5, 1.0, 0, 0.0, True, False, None, ""),
    *([], {}, [1, 2.0, "mu"], [None, False, 0], {"a": 1}, {"a": {"b": [1, {"c": "tau"}]}}, [[1, 2], [3]], [[]]),
    *(10**15, "two words", "naïve → ü", "it's", 'a "quoted" one', "100%", "a,b", [True, "", {}]),
)
LITERALS = tuple(value for value in ANYTHING if value is not None and not isinstance(value, bool))
"""What upstream's schema lets a parameter be."""
DOCKER = {"environment_type": "docker-encapsulated", "image": "example/tool", "imagetag": "1.0"}
HOST = {"environment_type": "localproc-env"}
NOTHING = {"environment_type": "noop-env"}


# --- what a value is ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word:
    """A tame text."""


@dataclass(frozen=True)
class Number:
    """An integer or a real number."""


@dataclass(frozen=True)
class File:
    """The path of a text file that some step wrote, or an init file."""


@dataclass(frozen=True)
class Unknown:
    """Any JSON at all."""


@dataclass(frozen=True)
class ListOf:
    """A list; `length` is None where it differs from step to step, but is never 0 then."""

    kind: Kind
    length: int | None


@dataclass(frozen=True)
class Object:
    fields: Mapping[str, Kind]


Kind: TypeAlias = "Word | Number | File | Unknown | ListOf | Object"


def for_commands(kind: Kind) -> bool:
    """Whether a value of this kind is the same text for a shell that splits and for one that does not."""
    if isinstance(kind, ListOf):
        return kind.length != 0 and isinstance(kind.kind, Word | Number | File)
    return isinstance(kind, Word | Number | File)


# --- what can be selected -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """Something a stage may take as a parameter: its expression, its kind, the stage that it waits for."""

    expression: Any
    kind: Kind
    needs: str | None


@dataclass(frozen=True)
class Made:
    """A stage that was made: how many steps (or scopes) it has, and what each publishes.

    `early` says that everything is published before anything runs. `inside` are the stages of a sub-workflow, `values`
    the kinds of what it registered.
    """

    name: str
    count: int
    outputs: Mapping[str, Kind]
    early: bool
    inside: tuple[Made, ...] = ()
    values: Mapping[str, Kind] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Generated:
    """A workflow, the init parameters and files that it is started with, and whether it is meant to be executed."""

    workflow: Mapping[str, Any]
    initdata: Mapping[str, Any]
    files: Mapping[str, str]
    execute: bool
    features: frozenset[str]

    def write(self, directory: Path) -> Path:
        """The workflow as files, in the layout of `specs/`."""
        (directory / "data").mkdir(parents=True)
        for name, text in self.files.items():
            (directory / "data" / name).write_text(text)
        case = {"features": sorted(self.features), "execute": self.execute}
        for name, document in (("workflow", self.workflow), ("init", self.initdata), ("case", case)):
            text = yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True)
            (directory / f"{name}.yml").write_text(text)
        return directory


class _Plain(yaml.SafeDumper):
    """Writes what is used twice twice: such a file can be read."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def workflow_of(seed: int) -> Generated:
    """The workflow of this seed, always the same."""
    return generate(Random(seed))


def generate(random: Random) -> Generated:
    """A workflow made by these choices."""
    execute = random.random() < 0.65
    initdata, kinds, files = _init(random)
    made = Made("init", 1, kinds, early=True)
    scope = _Scope(random, execute, made, depth=0, budget=[MOST_STEPS], features=set())
    stages = scope.stages(random.randint(1, 5))
    if random.random() < 0.06:
        scope.features.add(f"spoilt {_spoil(random, random.choice(stages), execute)}")
    return Generated(
        workflow={"stages": stages},
        initdata=initdata,
        files=files,
        execute=execute,
        features=frozenset(scope.features),
    )


workflows = st.builds(generate, st.randoms(use_true_random=False))


def _init(random: Random) -> tuple[dict[str, Any], dict[str, Kind], dict[str, str]]:
    """Init parameters of every kind, and the files that some of them name."""
    initdata: dict[str, Any] = {"tag": random.choice(WORDS), "n": random.choice(NUMBERS)}
    kinds: dict[str, Kind] = {"tag": Word(), "n": Number()}
    files: dict[str, str] = {}
    length = random.choice((1, 2, 2, 3, 3, 4, 0))
    initdata["words"] = random.sample(PLAIN_WORDS, length)
    kinds["words"] = ListOf(Word(), length)
    length = random.choice((1, 2, 3, 4))
    initdata["numbers"] = [random.choice(NUMBERS) for _ in range(length)]
    kinds["numbers"] = ListOf(Number(), length)
    initdata["some"] = random.choice(ANYTHING)
    kinds["some"] = Unknown()
    initdata["all"] = random.sample(ANYTHING, random.randint(1, 4))
    kinds["all"] = ListOf(Unknown(), len(initdata["all"]))
    initdata["config"] = {"label": random.choice(WORDS), "cuts": [1, 2.5], "deep": {"on": random.choice(ANYTHING)}}
    kinds["config"] = Object({"label": Word(), "cuts": ListOf(Number(), 2), "deep": Object({"on": Unknown()})})
    if random.random() < 0.6:
        files["card.dat"] = f"card {random.randint(0, 99)}\n"
        initdata["card"] = "card.dat"
        kinds["card"] = File()
    return initdata, kinds, files


def _spoil(random: Random, stage: dict[str, Any], execute: bool) -> str:
    """Makes a stage wrong, in a way that both engines must notice; says which."""
    scheduler = stage["scheduler"]
    how = random.choice(("command", "placeholder", "output", "stage", "word")[0 if execute else 2 :])
    step = scheduler.get("step")
    if how == "command" and step and step["process"]:
        step["environment"] = HOST
        step["process"] = {"process_type": "string-interpolated-cmd", "cmd": "exit 3"}
    elif how == "placeholder" and step and step["process"]:
        step["environment"] = HOST
        step["process"] = {"process_type": "string-interpolated-cmd", "cmd": "echo {nobody-knows}"}
    elif how in ("output", "stage") and isinstance(scheduler.get("parameters"), dict):
        selector = {"step": "init", "output": "nobody"} if how == "output" else {"step": "nobody", "output": "out"}
        scheduler["parameters"] |= {"spoilt": selector}
    else:
        how = "word"
        scheduler["scheduler_type"] = "no-such-stage"
    return how


class _Scope:
    """The stages of one workflow, made one after the other; each may use what those before it publish."""

    def __init__(
        self,
        random: Random,
        execute: bool,
        init: Made,
        *,
        depth: int,
        budget: list[int],
        features: set[str],
        repeated: bool = False,
    ) -> None:
        self._random = random
        self._execute = execute
        self._made = [init]
        self._depth = depth
        self._budget = budget
        self._repeated = repeated
        self.features = features
        self._values: dict[str, tuple[Kind, str]] = {}

    def stages(self, number: int) -> list[dict[str, Any]]:
        stages = []
        for index in range(number):
            if self._budget[0] <= 0:
                break
            stages.append(self._stage(f"{self._random.choice(('gen', 'fit', 'merge', 'my-stage', 'a_b'))}{index}"))
        return stages

    def made(self) -> tuple[Made, ...]:
        return tuple(self._made)

    def values(self) -> dict[str, Kind]:
        return {key: kind for key, (kind, _) in self._values.items()}

    # --- a stage --------------------------------------------------------------------------------------------------

    def _stage(self, name: str) -> dict[str, Any]:
        what = self._random.choice(("singlestep", "singlestep", "multistep", "multistep", "jq", "singlestep"))
        if what == "jq":
            return self._jq(name)
        chosen = self._chosen(self._random.randint(1, 4))
        scheduler: dict[str, Any] = {"scheduler_type": f"{what}-stage"}
        kinds = {key: given.kind for key, given in chosen.items()}
        count = 1
        if what == "multistep":
            count, kinds = self._scatter(scheduler, kinds)
        self._budget[0] -= count
        parameters = {key: given.expression for key, given in chosen.items()}
        body, made = self._body(name, kinds, count, parameters)
        if self._random.random() < 0.25 and any(isinstance(value, dict) for value in parameters.values()):
            self.features.add("parameters as a list")
            scheduler["parameters"] = [_keyed(key, value) for key, value in parameters.items()]
        else:
            scheduler["parameters"] = parameters
        scheduler |= body
        self.features.add(scheduler["scheduler_type"])
        needs = {given.needs for given in chosen.values() if given.needs}
        self._register(scheduler, made)
        self._made.append(made)
        return {"name": name, "dependencies": self._dependencies(needs), "scheduler": scheduler}

    def _chosen(self, number: int) -> dict[str, Given]:
        """Parameters: mostly selected from other stages, some of them literal."""
        givens = self._givens()
        chosen = {}
        for key in self._random.sample(("x", "y", "z", "files", "p_1"), number):
            if self._random.random() < 0.2:
                literal = self._random.choice(LITERALS)
                kind = Number() if type(literal) in (int, float) else Unknown()
                chosen[key] = Given(literal, kind, None)
                self.features.add("literals")
            elif self._random.random() < 0.1:
                chosen[key] = Given(self._random.choice(WORDS), Word(), None)
            else:
                chosen[key] = self._random.choice(givens)
        return chosen

    def _dependencies(self, needs: set[str]) -> Any:
        """What the stage waits for, in one of upstream's three forms."""
        names = sorted(needs)
        self._random.shuffle(names)
        # Upstream fails where it looks at a step of the same round: init of the whole workflow is a round of its own.
        if names == ["init"] and self._depth == 0 and self._random.random() < 0.4:
            self.features.add("expressions_fulfilled")
            return {
                "dependency_type": "expressions_fulfilled",
                "expressions": [
                    {"expression_type": "stage-output-selector", "stages": "init", "output": "tag"},
                    {"expression_type": "stage-output-selector", "steps": "init", "output": "config", "unwrap": True},
                ][: self._random.randint(1, 2)],
            }
        expressions = [self._inside(name) for name in names]
        if self._random.random() < 0.2:
            self.features.add("jsonpath_ready")
            return {"dependency_type": "jsonpath_ready", "expressions": expressions}
        self.features.add("dependencies as a list")
        return expressions

    def _inside(self, name: str) -> str:
        """A stage's name as a dependency; of a sub-workflow with one stage, sometimes that stage."""
        made = next(made for made in self._made if made.name == name)
        if len(made.inside) == 2 and not made.inside[1].inside and self._random.random() < 0.3:
            self.features.add("JSONPath in a dependency")
            return f"{name}[*].{made.inside[1].name}"
        return name

    # --- what there is to select ----------------------------------------------------------------------------------

    def _givens(self) -> list[Given]:
        givens = []
        for made in self._made:
            if made.count == 0:
                continue
            if made.inside:
                givens += self._of_scopes(made)
            else:
                givens += self._of_steps(made.name, made.count, made.outputs, made.name)
        for key, (kind, owner) in self._values.items():
            givens.append(Given({"expression_type": "fromvalue", "key": key}, kind, owner))
        return givens

    def _of_scopes(self, made: Made) -> list[Given]:
        """What is published inside sub-workflows: from all of them, from one of them, or by a registered value."""
        givens = []
        for inner in made.inside:
            if inner.count == 0 or inner.inside:
                continue
            everywhere = made.count * inner.count
            givens += self._of_steps(f"{made.name}[*].{inner.name}", everywhere, inner.outputs, made.name)
            givens += self._of_steps(f"{made.name}[0].{inner.name}", inner.count, inner.outputs, made.name)
        for key, kind in made.values.items():
            givens.append(Given({"stages": made.name, "output": key}, ListOf(kind, made.count), made.name))
            scoped = {"expression_type": "fromvalue", "key": key, "scope": f"{made.name}[0]"}
            givens.append(Given(scoped, kind, made.name))
        return givens

    def _of_steps(self, query: str, count: int, outputs: Mapping[str, Kind], needs: str) -> list[Given]:
        givens = []
        for output, kind in _deeper(outputs):
            if count == 1:
                givens.append(Given({"step": query, "output": output}, kind, needs))
            elif "[" not in query:
                index = self._random.randrange(count)
                givens.append(Given({"step": f"{query}[{index}]", "output": output}, kind, needs))
            word = self._random.choice(("stages", "stages", "steps"))
            many: dict[str, Any] = {word: query, "output": output}
            if isinstance(kind, ListOf) and self._random.random() < 0.5:
                length = None if kind.length is None else count * kind.length
                givens.append(Given({**many, "flatten": True}, ListOf(kind.kind, length), needs))
            elif count == 1 and self._random.random() < 0.4:
                givens.append(Given({**many, "unwrap": True}, kind, needs))
            else:
                givens.append(Given(many, ListOf(kind, count), needs))
        if count == 1 and self._random.random() < 0.2:
            givens.append(Given({"step": query}, Object(outputs), needs))
        return givens

    # --- scatter --------------------------------------------------------------------------------------------------

    def _scatter(self, scheduler: dict[str, Any], kinds: dict[str, Kind]) -> tuple[int, dict[str, Kind]]:
        """Makes a stage scatter over some of its lists; the number of steps and the kinds that each of them sees."""
        lists = {k: kind for k, kind in kinds.items() if isinstance(kind, ListOf) and kind.length is not None}
        if not lists:
            scheduler["scheduler_type"] = "singlestep-stage"
            return 1, kinds
        names = self._random.sample(sorted(lists), self._random.randint(1, min(2, len(lists))))
        method = self._random.choice(("zip", "cartesian"))
        scheduler["scatter"] = {"method": method, "parameters": names}
        lengths = [lists[name].length for name in names]
        size = self._random.choice((None, None, None, 1, 2, 3))
        if size is not None:
            word = self._random.choice(("batchsize", "partitionsize"))
            scheduler[word] = size
            self.features.add(word)
            cut = (lambda n: -(-n // size)) if word == "batchsize" else (lambda n: min(size, n))
            lengths = [cut(length) for length in lengths]
        count = min(lengths) if method == "zip" else prod(lengths)
        if count > max(self._budget[0], 1):
            scheduler["scheduler_type"] = "singlestep-stage"
            for key in ("scatter", "batchsize", "partitionsize"):
                scheduler.pop(key, None)
            return 1, kinds
        self.features.add(f"scatter {method}")
        each = {name: ListOf(lists[name].kind, None) if size else lists[name].kind for name in names}
        return count, {**kinds, **each}

    # --- a jq-stage -----------------------------------------------------------------------------------------------

    def _jq(self, name: str) -> dict[str, Any]:
        """A jq-stage over values of its own, or over what the steps of one stage published."""
        self.features.add("jq-stage")
        scheduler: dict[str, Any] = {"scheduler_type": "jq-stage"}
        sources = [made for made in self._made if made.count and made.outputs and not made.inside and made.early]
        # Upstream writes what it selected into the document, which all sub-workflows of a stage share.
        if sources and not self._repeated and self._random.random() < 0.6:
            source = self._random.choice(sources)
            output, kind = self._random.choice(sorted(source.outputs.items()))
            scheduler["bindings"] = {"of": {"$wflowref": [f".{_quoted(source.name)}[]", f".{_quoted(output)}"]}}
            scheduler["stepscript"] = "[.of[] | {x: .[0]}]"
            kinds: dict[str, Kind] = {"x": kind}
            count, needs = source.count, {source.name}
            self.features.add("$wflowref")
        else:
            count, needs = self._random.randint(1, 3), set()
            words = [self._random.choice(WORDS) for _ in range(count)]
            scheduler["bindings"] = {"words": words, "n": 3}
            scheduler["stepscript"] = "[.words[] as $w | {x: $w, y: .n}]"
            kinds = {"x": Word(), "y": Number()}
        if count > max(self._budget[0], 1):
            scheduler["stepscript"] = f"{scheduler['stepscript']} | .[:1]"
            count = 1
        self._budget[0] -= count
        if self._random.random() < 0.4:
            scheduler["postscript"] = '. + {label: "post"}'
            kinds["label"] = Word()
        parameters = dict.fromkeys(kinds)
        step, outputs, early, extra = self._step(kinds)
        if extra:
            fields = ", ".join(f"{key}: {json.dumps(value)}" for key, value in extra.items())
            scheduler["postscript"] = f"{scheduler.get('postscript', '.')} | . + {{{fields}}}"
        assert set(parameters) == set(kinds)
        scheduler["step"] = step
        made = Made(name, count, outputs, early)
        self._register(scheduler, made)
        self._made.append(made)
        return {"name": name, "dependencies": sorted(needs), "scheduler": scheduler}

    # --- what a stage does ----------------------------------------------------------------------------------------

    def _body(
        self, name: str, kinds: Mapping[str, Kind], count: int, parameters: dict[str, Any]
    ) -> tuple[dict[str, Any], Made]:
        """A step, a sub-workflow or cases; parameters that a step needs for itself are added to `parameters`."""
        choice = self._random.random()
        if choice < 0.25 and self._depth < 2 and self._budget[0] > 0 and count:
            return self._sub(name, kinds, count)
        step, outputs, early, extra = self._step(kinds)
        parameters |= extra
        if choice > 0.88:
            return self._cases(step, kinds), Made(name, count, outputs, early)
        return {"step": step}, Made(name, count, outputs, early)

    def _sub(self, name: str, kinds: Mapping[str, Kind], count: int) -> tuple[dict[str, Any], Made]:
        self.features.add("sub-workflow" if self._depth == 0 else "nested sub-workflow")
        budget = [self._budget[0] // max(count, 1)]
        before = budget[0]
        init = Made("init", 1, dict(kinds), early=True)
        inner = _Scope(
            self._random,
            self._execute,
            init,
            depth=self._depth + 1,
            budget=budget,
            features=self.features,
            repeated=self._repeated or count > 1,
        )
        stages = inner.stages(self._random.randint(1, 2))
        self._budget[0] -= (before - budget[0]) * count
        body: dict[str, Any] = {"workflow": {"stages": stages}}
        if not stages:  # no step is left for it
            body = {"workflow": {"stages": [_idle()]}}
            return body, Made(name, count, {}, early=True, inside=(init,))
        # Nothing is known of a text that may name a file before the step that may write it has run; upstream guesses.
        if not self._execute or self._random.random() < 0.3:
            self.features.add("workflow_opts")
            body["workflow_opts"] = {"relative": False}
        early = all(made.early for made in inner.made())
        return body, Made(name, count, {}, early, inside=inner.made(), values=inner.values())

    def _cases(self, step: dict[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any]:
        """The step as the first case that holds, among cases that do not."""
        self.features.add("cases")
        other = {
            "process": None,
            "environment": None,
            "publisher": {"publisher_type": "constant-pub", "publish": {"no": 1}},
        }
        never = self._random.choice(("false", "null", f'.{_quoted(min(kinds))} == "never"', ".missing"))
        cases = [{"if": "true", "step": step}, {"if": "true", "step": other}]
        if self._random.random() < 0.6:
            cases.insert(0, {"if": never, "step": other})
        return {"cases": cases}

    def _register(self, scheduler: dict[str, Any], made: Made) -> None:
        """Sometimes gives one of the stage's outputs a name that later stages can use."""
        if made.inside or not made.outputs or made.count == 0 or self._random.random() > 0.2:
            return
        self.features.add("register_values")
        key = f"value{len(self._values)}"
        output, kind = self._random.choice(sorted(made.outputs.items()))
        word = "step" if made.count == 1 else "stages"
        scheduler["register_values"] = {
            key: {"expression_type": "stage-output-selector", word: made.name, "output": output}
        }
        self._values[key] = (kind if made.count == 1 else ListOf(kind, made.count), made.name)

    # --- a step ---------------------------------------------------------------------------------------------------

    def _step(self, kinds: Mapping[str, Kind]) -> tuple[dict[str, Any], dict[str, Kind], bool, dict[str, Any]]:
        """A step that takes these parameters: its document, what it publishes, whether that is known before it runs,
        and further parameters that it needs."""
        usable = sorted(key for key, kind in kinds.items() if for_commands(kind))
        if not self._execute or not usable or self._random.random() < 0.15:
            return self._declared(kinds)
        kind_of_step = self._random.choice(("echo", "echo", "files", "yaml", "jq", "frompar"))
        maker: dict[str, Callable[..., tuple[dict[str, Any], dict[str, Kind], bool, dict[str, Any]]]] = {
            "echo": self._echo,
            "files": self._many_files,
            "yaml": self._yaml,
            "jq": self._parameters_by_jq,
            "frompar": self._parameters,
        }
        self.features.add("localproc-env")
        return maker[kind_of_step](kinds, usable)

    def _command(self, kinds: Mapping[str, Kind], usable: Sequence[str], out: str) -> str:
        """A command that writes `out` from parameters."""
        names = self._random.sample(usable, self._random.randint(1, len(usable)))
        files = [name for name in names if _of_files(kinds[name])]
        words = [name for name in names if name not in files]
        parts = []
        if words:
            said = " ".join(f"{{{name}}}" for name in words)
            looped = f"for i in 1 2; do echo {said} $i; done"
            parts.append(self._random.choice((f"echo {said}", f"printf '%s\\n' {said}", looped)))
        parts += [self._random.choice((f"cat {{{name}}}", f"cat {{{name}}} | wc -c")) for name in files]
        return f"({'; '.join(parts)}) > {out}"

    def _echo(
        self, kinds: Mapping[str, Kind], usable: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Kind], bool, dict[str, Any]]:
        """One output file, published by interpolation: by its whole path or relative to the work directory."""
        relative, glob = self._random.random() < 0.3, self._random.random() < 0.3
        own = self._random.random() < 0.5
        extra = {"out": "{workdir}/out.txt"} if own else {}
        command = self._command(kinds, usable, "{out}" if own else "out.txt")
        path = "out.txt" if relative else "{workdir}/out.txt"
        publish: dict[str, Any] = {"out": path}
        outputs: dict[str, Kind] = {"out": ListOf(File(), 1) if glob else File()}
        if not relative:
            if own and not glob:
                publish["same"] = "{out}"
                outputs["same"] = File()
            if words := [name for name in usable if isinstance(kinds[name], Word | Number)]:
                publish["label"] = f"{{{words[0]}}}"
                outputs["label"] = Word()
            publish |= {"four": 4, "nested": {"deep": [path, True, None]}}
            outputs["four"] = Number()
        publisher = {"publisher_type": "interpolated-pub", "publish": publish}
        publisher |= {"glob": True} if glob else {}
        publisher |= {"relative_paths": True} if relative else {}
        self.features |= (
            {"interpolated-pub"} | ({"glob"} if glob else set()) | ({"relative_paths"} if relative else set())
        )
        return _step(command, HOST, publisher), outputs, not glob, extra

    def _many_files(
        self, kinds: Mapping[str, Kind], usable: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Kind], bool, dict[str, Any]]:
        """Several output files, found by a wildcard."""
        number = self._random.randint(1, 3)
        names = self._random.sample(PLAIN_WORDS, number)
        each = self._command(kinds, usable, "parts/$f.txt")
        command = f"mkdir -p parts; for f in {' '.join(names)}; do {each}; done"
        files = ListOf(File(), number)
        if self._random.random() < 0.5:
            self.features.add("fromglob-pub")
            publisher = {"publisher_type": "fromglob-pub", "globexpression": "parts/*.txt", "outputkey": "files"}
            return _step(command, HOST, publisher), {"files": files}, False, {}
        self.features |= {"interpolated-pub", "glob"}
        publisher = {
            "publisher_type": "interpolated-pub",
            "glob": True,
            "publish": {"files": "{workdir}/parts/*.txt", "first": "{workdir}/parts/" + names[0] + ".*"},
        }
        return _step(command, HOST, publisher), {"files": files, "first": ListOf(File(), 1)}, False, {}

    def _yaml(
        self, kinds: Mapping[str, Kind], usable: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Kind], bool, dict[str, Any]]:
        """A YAML file that says what is published."""
        self.features.add("fromyaml-pub")
        lines = ["list: [1, 2.5, tau]", "truth: true", "none: null", "deep: {{a: [alpha]}}", "zero: 0"]
        lines = self._random.sample(lines, self._random.randint(1, len(lines)))
        command = "; ".join(f'echo "{line}" >> results.yml' for line in lines)
        outputs: dict[str, Kind] = {line.split(":")[0]: Unknown() for line in lines}
        if "list" in outputs:
            outputs["list"] = ListOf(Unknown(), 3)
        numbers = [name for name in usable if isinstance(kinds[name], Number)]
        if numbers:
            command += f'; echo "number: {{{numbers[0]}}}" >> results.yml'
            outputs["number"] = Number()
        return _step(command, HOST, {"publisher_type": "fromyaml-pub", "yamlfile": "results.yml"}), outputs, False, {}

    def _parameters_by_jq(
        self, kinds: Mapping[str, Kind], usable: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Kind], bool, dict[str, Any]]:
        """Parameters, the step's own file among them, as a jq program arranges them."""
        self.features.add("fromparjq-pub")
        command = self._command(kinds, usable, "{out}")
        name = self._random.choice(usable)
        script, outputs = self._random.choice((
            (".", {**kinds, "out": File()}),
            (f"{{o: .out, again: .{_quoted(name)}}}", {"o": File(), "again": kinds[name]}),
            ("{list: [.out, 1], n: (. | length)}", {"list": ListOf(Unknown(), 2), "n": Number()}),
        ))  # fmt: skip
        publisher = {"publisher_type": "fromparjq-pub", "script": script}
        return _step(command, HOST, publisher), dict(outputs), True, {"out": "{workdir}/out.txt"}

    def _parameters(
        self, kinds: Mapping[str, Kind], usable: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Kind], bool, dict[str, Any]]:
        """Parameters under other names."""
        self.features.add("frompar-pub")
        command = self._command(kinds, usable, "{out}")
        names = self._random.sample(sorted(kinds), self._random.randint(1, len(kinds)))
        outputmap = {"path": "out", **{f"o_{name}": name for name in names}}
        outputs: dict[str, Kind] = {"path": File(), **{f"o_{name}": kinds[name] for name in names}}
        publisher = {"publisher_type": "frompar-pub", "outputmap": outputmap}
        return _step(command, HOST, publisher), outputs, True, {"out": "{workdir}/out.txt"}

    def _declared(self, kinds: Mapping[str, Kind]) -> tuple[dict[str, Any], dict[str, Kind], bool, dict[str, Any]]:
        """A step that starts nothing when it is executed, and only publishes."""
        environment = NOTHING if self._execute else self._random.choice((DOCKER, DOCKER, NOTHING, HOST))
        command = f"true {' '.join(f'{{{name}}}' for name in sorted(kinds))}"
        self.features.add(environment["environment_type"])
        choice = self._random.random()
        publisher: dict[str, Any]
        outputs: dict[str, Kind]
        if choice < 0.3:
            self.features.add("constant-pub")
            values = self._random.sample(ANYTHING, self._random.randint(1, 3))
            publisher = {"publisher_type": "constant-pub", "publish": {f"c{n}": v for n, v in enumerate(values)}}
            outputs = {f"c{n}": Unknown() for n in range(len(values))}
        elif choice < 0.6:
            self.features.add("frompar-pub")
            names = self._random.sample(sorted(kinds), self._random.randint(1, len(kinds)))
            publisher = {"publisher_type": "frompar-pub", "outputmap": {f"o_{name}": name for name in names}}
            outputs = {f"o_{name}": kinds[name] for name in names}
        elif choice < 0.75 or self._execute:
            self.features.add("fromparjq-pub")
            name = self._random.choice(sorted(kinds))
            publisher = {"publisher_type": "fromparjq-pub", "script": f"{{p: .{_quoted(name)}, one: 1}}"}
            outputs = {"p": kinds[name], "one": Number()}
        else:
            self.features.add("interpolated-pub")
            name = self._random.choice(sorted(kinds))
            publish = {"path": f"{{workdir}}/{{{name}}}.json", "text": f"{{{name}}} and {{{name}}}", "nine": 9}
            publisher = {"publisher_type": "interpolated-pub", "publish": publish}
            outputs = {"path": File(), "text": Word(), "nine": Number()}
            if self._random.random() < 0.2:
                publisher["glob"] = True
                return _step(command, environment, publisher), {"nine": Number()}, False, {}
        step = _step(command, environment, publisher)
        if self._random.random() < 0.3:
            self.features.add("interpolated-script-cmd")
            step["process"] = {"process_type": "interpolated-script-cmd", "script": f"{command}\nexit 0\n"}
        return step, outputs, True, {}


def _step(command: str, environment: Mapping[str, Any], publisher: Mapping[str, Any]) -> dict[str, Any]:
    process = {"process_type": "string-interpolated-cmd", "cmd": command}
    return {"process": process, "environment": dict(environment), "publisher": dict(publisher)}


def _idle() -> dict[str, Any]:
    """A stage that never becomes ready, for a scope that has no steps left."""
    publisher = {"publisher_type": "constant-pub", "publish": {"done": 1}}
    step = {"process": None, "environment": None, "publisher": publisher}
    scheduler = {"scheduler_type": "singlestep-stage", "parameters": {"one": 1}, "step": step}
    return {"name": "idle", "dependencies": ["init"], "scheduler": scheduler}


def _keyed(key: str, value: Any) -> dict[str, Any]:
    """A parameter in the list form, where upstream does not guess the type of an expression."""
    if isinstance(value, dict) and {"step", "stages", "steps"} & set(value):
        value = {"expression_type": "stage-output-selector", **value}
    return {"key": key, "value": value}


def _deeper(outputs: Mapping[str, Kind]) -> list[tuple[str, Kind]]:
    """The outputs, and by JSONPath what lies inside them."""
    found: list[tuple[str, Kind]] = []
    for name, kind in outputs.items():
        found.append((name, kind))
        if isinstance(kind, ListOf) and kind.length:
            found.append((f"{name}[{kind.length - 1}]", kind.kind))
        if isinstance(kind, Object):
            found += [(f"{name}.{key}", inner) for key, inner in kind.fields.items()]
    return found


def _of_files(kind: Kind) -> bool:
    return isinstance(kind, File) or (isinstance(kind, ListOf) and isinstance(kind.kind, File))


def _quoted(name: str) -> str:
    """A name as jq takes it after a dot."""
    return json.dumps(name)
