"""The verbs put together, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from recast_dm import __version__
from recast_dm.cli import (
    capture,
    catalogue,
    check,
    closure,
    combine,
    contour,
    cp,
    curves,
    delete,
    diff,
    doctor,
    download,
    du,
    explain,
    export,
    flatten,
    gc,
    graph,
    images,
    limits,
    logs,
    ls,
    models,
    new,
    open_,
    planes,
    plot,
    quota,
    report,
    rerun,
    rescale,
    restart,
    run,
    scan,
    secrets,
    status,
    stop,
    submit,
    unpack,
    verify,
    view,
    workspace,
)
from recast_dm.errors import Interrupted, RecastError, UsageError, storage_error

ClickException: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""The base of everything typer says about wrong words; typer carries its own click and does not export this."""
NO_WORDS = "NoArgsIsHelpError"
"""The one of them that is raised where there are no words at all; its message is the help."""

PANELS = ("Preserve", "Run", "Reinterpret", "Inspect", "Setup")


class _Verbs(TyperGroup):
    """The verbs: Ctrl-C becomes our error before typer swallows it, and help groups them by what they are for.

    Help is plain text: rich would double the time that it takes.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted", signal_number=getattr(error, "signal_number", signal.SIGINT)) from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        for panel in PANELS:
            rows = [
                (name, command.get_short_help_str(limit=90))
                for name, command in commands
                if command is not None and getattr(command, "rich_help_panel", None) == panel
            ]
            if rows:
                with formatter.section(panel):
                    formatter.write_dl(rows)


app = typer.Typer(
    name="recast-dm",
    cls=_Verbs,
    help="Preserve a dark-matter analysis and run it again under a new model.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("new", rich_help_panel="Preserve")(new.new)
app.command("capture", rich_help_panel="Preserve", context_settings={"allow_extra_args": True})(capture.capture)
app.command("verify", rich_help_panel="Preserve")(verify.verify)
app.command("unpack", rich_help_panel="Preserve")(unpack.unpack)
app.add_typer(catalogue.app, name="catalogue", rich_help_panel="Preserve")
app.command("cp", rich_help_panel="Preserve")(cp.cp)
app.add_typer(images.app, name="images", rich_help_panel="Preserve")
app.command("run", rich_help_panel="Run")(run.run)
app.command("check", rich_help_panel="Run")(check.check)
app.command("flatten", rich_help_panel="Preserve")(flatten.flatten)
app.command("export", rich_help_panel="Preserve")(export.export)
app.command("limits", rich_help_panel="Inspect")(limits.limits)
app.command("status", rich_help_panel="Inspect")(status.status)
app.command("ls", rich_help_panel="Inspect")(ls.ls)
app.command("logs", rich_help_panel="Inspect")(logs.logs)
app.command("explain", rich_help_panel="Inspect")(explain.explain)
app.command("diff", rich_help_panel="Inspect")(diff.diff)
app.command("graph", rich_help_panel="Inspect")(graph.graph)
app.command("plot", rich_help_panel="Inspect")(plot.plot)
app.command("report", rich_help_panel="Inspect")(report.report)
app.command("rerun", rich_help_panel="Reinterpret")(rerun.rerun)
app.command("scan", rich_help_panel="Reinterpret")(scan.scan)
app.command("contour", rich_help_panel="Reinterpret")(contour.contour)
app.command("combine", rich_help_panel="Reinterpret")(combine.combine)
app.command("rescale", rich_help_panel="Reinterpret")(rescale.rescale)
app.command("closure", rich_help_panel="Reinterpret")(closure.closure)
app.command("planes", rich_help_panel="Reinterpret")(planes.planes)
app.command("doctor", rich_help_panel="Setup")(doctor.doctor)
app.command("gc", rich_help_panel="Setup")(gc.gc)
app.command("submit", rich_help_panel="Run")(submit.submit)
app.command("download", rich_help_panel="Run")(download.download)
app.command("stop", rich_help_panel="Run")(stop.stop)
app.command("restart", rich_help_panel="Run")(restart.restart)
app.command("delete", rich_help_panel="Run")(delete.delete)
app.command("open", rich_help_panel="Run")(open_.open_)
app.command("du", rich_help_panel="Run")(du.du)
app.command("quota", rich_help_panel="Run")(quota.quota)
app.add_typer(secrets.app, name="secrets", rich_help_panel="Run")
app.add_typer(workspace.app, name="workspace", rich_help_panel="Run")
app.add_typer(models.app, name="models", rich_help_panel="Reinterpret")
app.add_typer(curves.app, name="curves", rich_help_panel="Reinterpret")


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        view.out(f"recast-dm {__version__}")
        raise typer.Exit


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and gives the exit code: the table is in README."""
    words = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in words
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
            signal.signal(number, _terminated)
    try:
        code = _start(words)
    except BrokenPipeError:
        return 1  # whoever read our output has gone; there is nobody to tell
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # nothing escapes to a user as a traceback
        return _fail(_ours(error), as_json)
    return code if isinstance(code, int) else 0


def _start(words: list[str]) -> Any:
    try:
        return app(words, prog_name="recast-dm", standalone_mode=False)
    except ClickException as error:
        if type(error).__name__ != NO_WORDS:
            raise
        view.out(error.format_message())  # who says nothing asks what can be said
        return 0


def _ours(error: BaseException) -> RecastError:
    """Any exception as one of ours."""
    if isinstance(error, RecastError):
        return error
    if isinstance(error, ClickException):
        return _usage(error)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Interrupted("interrupted", signal_number=getattr(error, "signal_number", signal.SIGINT))
    if isinstance(error, OSError):
        return storage_error(error, "go on")
    return _defect(error)


def _fail(error: RecastError, as_json: bool) -> int:
    if as_json:
        with contextlib.suppress(OSError):  # then the message on stderr and the exit code have to do
            view.document(error.document())
    view.error(error)
    return error.exit_code


def _usage(error: Any) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "recast-dm"
    return UsageError(error.format_message(), hint=f"`{path} --help` lists what it takes")


def _defect(error: BaseException) -> RecastError:
    with tempfile.NamedTemporaryFile("w", prefix="recast-dm-", suffix=".txt", delete=False) as file:
        traceback.print_exception(error, file=file)
    return RecastError(
        f"a defect in recast-dm: {type(error).__name__}: {error}",
        hint=f"please report it with {Path(file.name)}; finished steps are kept",
    )


class _Terminated(KeyboardInterrupt):
    """SIGTERM, or a terminal that was closed, taken the way Ctrl-C is."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal_number = number


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise _Terminated(number)
