"""`python3 -m monojet STAGE`: one subcommand a stage; errors are one line and an exit code."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from monojet.errors import InputError, StageError


def parser() -> argparse.ArgumentParser:
    """The stages and their arguments."""
    top = argparse.ArgumentParser(prog="monojet", description=__doc__)
    stages = top.add_subparsers(dest="stage", required=True)
    generate = stages.add_parser("generate", help="Pythia events whose recoil is hard, as visible particles")
    generate.add_argument("--pythia-settings", nargs="*", default=[], metavar="KEY=VALUE")
    generate.add_argument("--zprime-couplings", nargs="*", default=[], metavar="ID=GV,GA")
    generate.add_argument("--recoil-id", type=int, required=True)
    generate.add_argument("--invisible-ids", type=int, nargs="+", required=True)
    generate.add_argument("--expected-width-gev", type=float, required=True)
    generate.add_argument("--seed", required=True, help="a number; with events from outside a share such as 1/4")
    generate.add_argument("--cross-section-factor", type=float, default=1.0, help="of the model, on Pythia's")
    generate.add_argument("--events-files", type=Path, nargs="*", default=[], help="events from outside: LHE or HepMC")
    generate.add_argument("--events-sigma-pb", type=float, default=0.0, help="after matching; 0: what the files say")
    generate.add_argument("--events-merging-scale-gev", type=float, default=0.0, help="0: that of the run card")
    generate.add_argument("--any-recoil", action="store_true", help="also that of a top loop, which is wrong here")
    generate.add_argument("--events", type=int, required=True)
    generate.add_argument("--particles", type=Path, required=True)
    generate.add_argument("--generation", type=Path, required=True)
    select = stages.add_parser("select", help="detector emulation and the search's selection")
    select.add_argument("--particles", type=Path, required=True)
    select.add_argument("--generation", type=Path, required=True)
    select.add_argument("--selection", type=Path, required=True)
    histogram = stages.add_parser("histogram", help="merge samples, then weigh them")
    histogram.add_argument("--selections", type=Path, nargs="+", required=True)
    histogram.add_argument("--luminosity-fb", type=float, required=True)
    histogram.add_argument("--histogram", type=Path, required=True)
    workspace = stages.add_parser("workspace", help="the background-only likelihood")
    workspace.add_argument("--yields", type=Path, required=True)
    workspace.add_argument("--correlation-model", required=True)
    workspace.add_argument("--workspace", type=Path, required=True)
    patch = stages.add_parser("patch", help="the signal as a JSON patch")
    patch.add_argument("--histogram", type=Path, required=True)
    patch.add_argument("--workspace", type=Path, required=True)
    patch.add_argument("--patch", type=Path, required=True)
    limit = stages.add_parser("limit", help="CLs and upper limits")
    limit.add_argument("--workspace", type=Path, required=True)
    limit.add_argument("--patch", type=Path, required=True)
    limit.add_argument("--histogram", type=Path, required=True)
    limit.add_argument("--correlation-model", required=True)
    limit.add_argument("--limit", type=Path, required=True)
    return top


def seed(word: str) -> int:
    """A seed of Pythia.

    >>> seed("7")
    7
    """
    if not re.fullmatch(r"-?\d{1,18}", word):
        raise InputError(f"seed {word!r} is not a number; shares such as 1/4 are for events from outside")
    return int(word)


def outside(words: argparse.Namespace) -> None:
    """The generate stage, for events from outside."""
    from monojet import events
    from monojet.tally import Share

    if words.pythia_settings or words.zprime_couplings:
        raise InputError("events come from files or from Pythia's process, not from both")
    if not (words.events_sigma_pb >= 0 and words.events_merging_scale_gev >= 0):
        raise InputError("a cross-section and a merging scale are not negative")
    wanted = events.Outside(
        files=tuple(words.events_files),
        share=Share.parse(words.seed),
        invisible_ids=tuple(words.invisible_ids),
        sigma_pb=words.events_sigma_pb,
        merging_scale_gev=words.events_merging_scale_gev,
    )
    events.run(wanted, events_path=words.particles, generation_path=words.generation)


def run(words: argparse.Namespace) -> None:
    """Run one stage."""
    if words.stage == "generate" and words.events_files:
        outside(words)
    elif words.stage == "generate":
        from monojet import generate

        signal = generate.Signal(
            pythia_settings=tuple(words.pythia_settings),
            zprime_couplings=generate.parse_couplings(words.zprime_couplings),
            recoil_id=words.recoil_id,
            invisible_ids=tuple(words.invisible_ids),
            expected_width_gev=words.expected_width_gev,
            cross_section_factor=words.cross_section_factor,
        )
        generate.run(
            signal,
            seed=seed(words.seed),
            events=words.events,
            events_path=words.particles,
            generation_path=words.generation,
            any_recoil=words.any_recoil,
        )
    elif words.stage == "select":
        from monojet import selection

        selection.run(events_path=words.particles, generation_path=words.generation, selection_path=words.selection)
    elif words.stage == "histogram":
        from monojet import histogram

        histogram.run(selection_paths=words.selections, lumi_fb=words.luminosity_fb, histogram_path=words.histogram)
    elif words.stage == "workspace":
        from monojet import workspace

        workspace.run(
            yields_path=words.yields, correlation_model=words.correlation_model, workspace_path=words.workspace
        )
    elif words.stage == "patch":
        from monojet import patch

        patch.run(histogram_path=words.histogram, workspace_path=words.workspace, patch_path=words.patch)
    else:
        from monojet import limit

        limit.run(
            workspace_path=words.workspace,
            patch_path=words.patch,
            histogram_path=words.histogram,
            correlation_model=words.correlation_model,
            limit_path=words.limit,
        )


def main(argv: Sequence[str] | None = None) -> int:
    words = parser().parse_args(argv)
    try:
        run(words)
    except StageError as error:
        print(f"{words.stage}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
