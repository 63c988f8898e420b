"""`python3 -m cmsmonojet STAGE`: one subcommand a stage; errors are one line and an exit code.

`--batch FILE` does many command lines in one start (recast_dm/batch.py).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from monojet.errors import StageError

from recast_dm import batch


def parser() -> argparse.ArgumentParser:
    """The stages and their arguments."""
    top = argparse.ArgumentParser(prog="cmsmonojet", description=__doc__)
    stages = top.add_subparsers(dest="stage", required=True)
    cross_section = stages.add_parser("cross-section", help="the cross-section of a signal, of its hard process alone")
    cross_section.add_argument("--pythia-settings", nargs="*", default=[], metavar="KEY=VALUE")
    cross_section.add_argument("--zprime-couplings", nargs="*", default=[], metavar="ID=GV,GA")
    cross_section.add_argument("--recoil-id", type=int, required=True)
    cross_section.add_argument("--expected-width-gev", type=float, required=True)
    cross_section.add_argument("--factor", type=float, default=1.0)
    cross_section.add_argument("--cross-section", type=Path, required=True)
    select = stages.add_parser("select", help="detector emulation and the search's selection")
    select.add_argument("--particles", type=Path, required=True)
    select.add_argument("--generation", type=Path, required=True)
    select.add_argument("--selection", type=Path, required=True)
    workspace = stages.add_parser("workspace", help="the background-only likelihood")
    workspace.add_argument("--bins", type=Path, required=True)
    workspace.add_argument("--covariance", type=Path, required=True)
    workspace.add_argument("--workspace", type=Path, required=True)
    signal = stages.add_parser("signal", help="expected events in the bins, and the signal as a JSON patch")
    signal.add_argument("--family", required=True)
    signal.add_argument("--m-med", type=float, required=True)
    signal.add_argument("--m-dm", type=float, required=True)
    signal.add_argument("--spin1-map", type=Path, required=True)
    signal.add_argument("--spin0-map", type=Path, required=True)
    signal.add_argument("--selections", type=Path, nargs="*", default=[])
    signal.add_argument("--cross-section", type=Path, required=True)
    signal.add_argument("--bins", type=Path, required=True)
    signal.add_argument("--covariance", type=Path, required=True)
    signal.add_argument("--workspace", type=Path, required=True)
    signal.add_argument("--signal", type=Path, required=True)
    signal.add_argument("--patch", type=Path, required=True)
    signal.add_argument("--histogram", type=Path, required=True)
    return top


def run(words: argparse.Namespace) -> None:
    """Run one stage."""
    if words.stage == "cross-section":
        from monojet import generate

        from cmsmonojet import cross_section

        model = generate.Signal(
            pythia_settings=tuple(words.pythia_settings),
            zprime_couplings=generate.parse_couplings(words.zprime_couplings),
            recoil_id=words.recoil_id,
            invisible_ids=(),
            expected_width_gev=words.expected_width_gev,
        )
        cross_section.run(model, factor=words.factor, cross_section_path=words.cross_section)
    elif words.stage == "select":
        from cmsmonojet import selection

        selection.run(events_path=words.particles, generation_path=words.generation, selection_path=words.selection)
    elif words.stage == "workspace":
        from cmsmonojet import workspace

        workspace.run(bins_path=words.bins, covariance_path=words.covariance, workspace_path=words.workspace)
    else:
        from cmsmonojet import signal

        inputs = signal.Inputs(
            family=words.family,
            m_med=words.m_med,
            m_dm=words.m_dm,
            maps={"spin1": words.spin1_map, "spin0": words.spin0_map},
            selections=words.selections,
            cross_section=words.cross_section,
            bins=words.bins,
            covariance=words.covariance,
            workspace=words.workspace,
        )
        signal.run(inputs, signal_path=words.signal, patch_path=words.patch, histogram_path=words.histogram)


def main(argv: Sequence[str] | None = None) -> int:
    words = parser().parse_args(argv)
    try:
        run(words)
    except StageError as error:
        print(f"{words.stage}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(batch.entry(main))
