"""`recast-dm models`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import options, view
from recast_dm.errors import SpecError, UsageError

if TYPE_CHECKING:
    from recast_dm.signals import SignalModel, SignalRecord
    from recast_dm.signals.checking import Checked

app = typer.Typer(help="The signal models known here.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, as `models ls` gives it.")]


@app.command("ls")
def ls(json: options.Json = False) -> None:
    """List the signal models, and where they come from.

    \b
    Examples:
      recast-dm models ls
      recast-dm models ls --json
    """
    from recast_dm import signals

    records = [record for name in signals.names() if (record := _record(name)) is not None]
    origins = {record.name: signals.origin(record.name) for record in records}
    if json:
        models = [r.document() for r in records]
        view.document({"schema": "recast-dm/signal-models/1", "models": models, "origins": origins})
        return
    rows = [(r.name, ", ".join(p.name for p in r.parameters), r.family, origins[r.name]) for r in records]
    view.out(view.table(rows, head=("model", "parameters", "family", "from")))


def _record(name: str) -> SignalRecord | None:
    """What a model says of itself; a user's file that is broken is told of, and does not hide the others."""
    from recast_dm import signals

    try:
        return signals.find(name).record
    except SpecError as error:
        view.error(error)
        return None


@app.command("describe")
def describe(name: Name, json: options.Json = False) -> None:
    """Describe one signal model: parameters, units, ranges, benchmarks, validity, citations.

    \b
    Examples:
      recast-dm models describe spin1-axial
      recast-dm models describe add --json
    """
    from recast_dm import signals

    record = signals.find(name).record
    if json:
        view.document(record.document())
        return
    rows = [
        (p.name, p.unit, p.range, "required" if p.required else f"{p.default:g}", p.meaning) for p in record.parameters
    ]
    view.out(f"{record.name} (version {record.version}): {record.family}, {record.order}\n")
    view.out(view.table(rows, head=("parameter", "unit", "range", "default", "meaning")))
    for fixed in record.fixed:
        view.out(f"fixed: {fixed.name} = {fixed.value}: {fixed.meaning}")
    for benchmark in record.benchmarks:
        view.out(f"benchmark: {benchmark.name}: " + " ".join(f"{name}={value:g}" for name, value in benchmark.values))
    for note in record.validity:
        view.out(f"validity: {note}")
    for citation in record.citations:
        view.out(f"cite: arXiv:{citation.arxiv}  {citation.title}")


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A YAML file with a model of your own.")],
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of your model of that name.")] = False,
    json: options.Json = False,
) -> None:
    """Keep a signal model of your own: every verb takes it by its name.

    \b
    Examples:
      recast-dm models add my-model.yml
      recast-dm models add my-model.yml --replace
    """
    from recast_dm import signals
    from recast_dm.signals.declared import kept

    model = signals.read(file)
    name = model.record.name
    if name in signals.names() and not kept.file(options.DEFAULTS.models, name):
        raise UsageError(f"{name} is a model of {signals.origin(name)}", hint="give yours another name")
    _demand_good(model, file)
    place = kept.add(options.DEFAULTS.models, name, file, replace=replace)
    if json:
        view.document({"schema": "recast-dm/models-add/1", "name": name, "file": str(place)})
        return
    view.out(f"{name}: kept in {place}")


@app.command("rm")
def rm(name: Name, json: options.Json = False) -> None:
    """Forget a signal model of your own.

    \b
    Examples:
      recast-dm models rm my-model
      recast-dm models rm my-model --json
    """
    from recast_dm.signals.declared import kept

    place = kept.remove(options.DEFAULTS.models, name)
    if json:
        view.document({"schema": "recast-dm/models-rm/1", "name": name, "file": str(place)})
        return
    view.out(f"{name}: removed {place}")


@app.command("check")
def check(
    name: Annotated[str, typer.Argument(metavar="MODEL|FILE", help="A model's name, or a YAML file with one.")],
    json: options.Json = False,
) -> None:
    """Try a signal model out: ranges, widths, words for Pythia and planes, in the middle and at its benchmarks.

    \b
    Examples:
      recast-dm models check spin1-axial
      recast-dm models check my-model.yml --json
    """
    from recast_dm import signals
    from recast_dm.signals import checking

    model = signals.read(Path(name)) if Path(name).suffix in (".yml", ".yaml") else signals.find(name)
    checked = checking.check(model)
    if json:
        view.document(
            {
                "schema": "recast-dm/models-check/1",
                "name": model.record.name,
                "ok": checked.ok,
                "checks": [each.document() for each in checked.checks],
                "validity": [{"where": where, **finding.document()} for where, finding in checked.findings],
            }
        )
    else:
        _show(model, checked)
    if not checked.ok:
        raise typer.Exit(SpecError.exit_code)


def _show(model: SignalModel, checked: Checked) -> None:
    rows = [(each.where, each.name, "ok" if each.ok else "WRONG", each.text) for each in checked.checks]
    rows += [
        (where, finding.name, "holds" if finding.ok else "warns", finding.text) for where, finding in checked.findings
    ]
    view.out(view.table(rows, head=("where", "what", "", "")))
    wrong = sum(not each.ok for each in checked.checks)
    view.out(f"{model.record.name}: " + (f"{wrong} wrong" if wrong else "nothing is wrong"))


def _demand_good(model: SignalModel, file: Path) -> None:
    """Raises SpecError for a model that cannot be used."""
    from recast_dm.signals import checking

    wrong = [each for each in checking.check(model).checks if not each.ok]
    if wrong:
        first = wrong[0]
        raise SpecError(
            f"{file}: {first.name} at {first.where}: {first.text}",
            hint=f"`recast-dm models check {file}` shows all of it",
        )
