"""Options that several verbs share, and how their words become values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm import config
from recast_dm.config import Config
from recast_dm.errors import RecastError, UsageError

if TYPE_CHECKING:
    from recast_dm.reinterpret.kfactor import Choice
    from recast_dm.spec.remote import Fetch

AnalysisArgument = Annotated[
    str,
    typer.Argument(metavar="CAPSULE|ANALYSIS", help="A capsule, as `capture` wrote it, or an analysis."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, also on failure.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
Workdir = Annotated[
    Path | None,
    typer.Option(help="The run directory; resumed when it exists.", show_default="build/runs/<time>-<id>"),
]
Jobs = Annotated[int, typer.Option(min=1, help="Steps at once.", show_default="the processors")]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SPEC|ANALYSIS|CAPSULE",
        help="A workflow.yml, recast.yml or reana.yaml, its directory or its address; or a capsule.",
    ),
]
Toplevel = Annotated[
    str | None,
    typer.Option(
        metavar="T",
        help="Where workflow and references begin: a directory, https://…, github:ORG/REPO[@REF][:SUBPATH], "
        "gitlab-cern:GROUP/REPO[@REF][:SUBPATH].",
        show_default="the directory of SPEC",
    ),
]
AllowRemote = Annotated[bool, typer.Option("--allow-remote", help="Fetch what lies on servers, over checked TLS.")]
AllowHost = Annotated[
    bool, typer.Option("--allow-host", help="Let localproc-env start processes of this machine, outside containers.")
]
Example = Annotated[
    str | None, typer.Option(metavar="NAME", help="Which of recast.yml's example_inputs.", show_default="the first")
]
Initdir = Annotated[Path | None, typer.Option(metavar="DIR", help="The init files, instead of the source's own.")]
InitFiles = Annotated[
    list[Path] | None, typer.Option("--inputs", metavar="FILE", help="Init parameters in a YAML file; repeat.")
]
Raw = Annotated[
    list[str] | None,
    typer.Option(
        "--raw", metavar="STAGE", help="Substitute values as text in this stage (scan/fit), as upstream does; repeat."
    ),
]
KeepGoing = Annotated[bool, typer.Option("--keep-going", "-k", help="After a failure, do all that does not need it.")]
Retries = Annotated[int, typer.Option(min=0, max=1000, help="Try a step that failed so often again.")]
Timeout = Annotated[
    float | None, typer.Option(min=0.001, metavar="SECONDS", help="End a step that takes longer.", show_default="none")
]
Verify = Annotated[bool, typer.Option("--verify", help="Hash again what a resumed run finds finished.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]
BackendName = Annotated[
    str,
    typer.Option("--backend", metavar="local|reana|yadage", help="Our engine, a REANA server, or upstream yadage."),
]
AtOnce = Annotated[
    int, typer.Option("--at-once", min=1, max=1000, help="With --backend reana: workflows (points) there at once.")
]
RegistryName = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="HOST[/PATH]",
        help="With REANA: where `images push` put the capsule's images.",
        show_default="as the workflow names them",
    ),
]
InputsFrom = Annotated[
    list[Path] | None,
    typer.Option("--inputs-from", metavar="DIR", help="Where inputs lie that a capsule keeps by reference; repeat."),
]
RuntimeName = Annotated[str, typer.Option("--runtime", metavar="NAME|auto", help="What starts containers.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache of finished steps.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("-p", metavar="KEY=VALUE", help="Set an init parameter of the analysis; the value is YAML."),
]
ModelSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the model, masses in GeV; repeat for each."),
]
Benchmark = Annotated[
    str | None,
    typer.Option(
        metavar="A1|V1|…", help="Couplings of a benchmark, as `models describe` lists them; --set goes before."
    ),
]
Events = Annotated[
    list[Path] | None,
    typer.Option("--events", metavar="FILE", help="Events of --model events: LHE or HepMC3, plain or .gz; repeat."),
]
KFactor = Annotated[
    str | None,
    typer.Option(
        "--k-factor", metavar="drell-yan|FILE", help="Also show limits with this K-factor, beside leading order."
    ),
]
DEFAULTS = Config.from_environment()
RUNS, run_directory, link_latest = config.RUNS, config.run_directory, config.link_latest


def pairs(words: Iterable[str], option: str) -> dict[str, str]:
    """`key=value` words as a mapping. Raises UsageError.

    >>> pairs(["m_med=2000"], "--set")
    {'m_med': '2000'}
    """
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"{option} {word!r} is not KEY=VALUE", hint=f"write {option} name=value")
        if key.strip() in found:
            raise UsageError(f"{option} gives {key.strip()!r} twice", hint="keep one of them")
        found[key.strip()] = value.strip()
    return found


def model_values(model: str, settings: Iterable[str] | None, benchmark: str | None) -> dict[str, object]:
    """The `--set` values, and beneath them those of a benchmark. Raises UsageError."""
    from recast_dm import signals

    named = dict(signals.find(model).record.benchmark(benchmark).values) if benchmark else {}
    return {**named, **pairs(settings or (), "--set")}


def numbers(values: Mapping[str, object], option: str) -> dict[str, float]:
    """Values as numbers. Raises UsageError."""
    found = {}
    for name, value in values.items():
        try:
            found[name] = float(str(value))
        except ValueError:
            raise UsageError(f"{option} {name}={value} is not a number", hint=f"write {option} {name}=NUMBER") from None
    return found


def k_factor(word: str | None) -> Choice | None:
    """The K-factor that `--k-factor` chooses. Raises UsageError."""
    from recast_dm.reinterpret import kfactor

    return kfactor.chosen(word) if word is not None else None


def size(word: str, option: str) -> int:
    """A size in bytes, as `500M` or `2Gi`. Raises UsageError."""
    from recast_dm.spec.quantity import quantity

    try:
        return int(quantity(word))
    except ValueError:
        raise UsageError(f"{option} {word!r} is not a size", hint="write bytes, or as in 500M or 2Gi") from None


def duration(word: str, option: str) -> float:
    """A time in seconds, as `12h` or `30d`. Raises UsageError.

    >>> duration("12h", "--older-than"), duration("0", "--older-than")
    (43200.0, 0.0)
    """
    number, unit = (word[:-1], word[-1]) if word[-1:] in _SECONDS else (word, "s")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise UsageError(f"{option} {word!r} is not a time", hint="write seconds, or as in 90m, 12h, 30d or 8w")
    return float(number) * _SECONDS[unit]


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def yaml_values(words: Iterable[str] | None, option: str) -> dict[str, Any]:
    """`key=value` words with the values read as YAML."""
    from recast_dm.spec import text

    values = {}
    for key, value in pairs(words or (), option).items():
        try:
            values[key] = text.parse(value).plain() if value else ""
        except RecastError as error:
            raise UsageError(f"the value of {option} {key} is not YAML: {error.message}") from None
    return values


def fetcher(allowed: bool) -> Fetch | None:
    """What fetches from servers, where the user lets it."""
    from recast_dm.spec import remote

    return remote.Fetcher(tokens=DEFAULTS.tokens) if allowed else None


def cache(told: Callable[[str], object] = lambda _: None) -> Path | None:
    """The directory of caches, where it can be written; else `told` hears why not."""
    return DEFAULTS.writable_cache(told)
