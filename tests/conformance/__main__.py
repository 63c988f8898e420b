"""`make conformance`: the corpus and generated workflows on upstream yadage and on our engine.

Prints Markdown: counts, the intended deviations with how many workflows show each, and which specs test which feature
of the language. Exit code 1 on a difference that nothing explains.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping
from functools import cache

from recast_dm import runtimes
from recast_dm.backends.yadage import Upstream
from recast_dm.errors import ToolMissing
from tests.conformance import corpus, judge
from tests.conformance.generate import workflow_of
from tests.conformance.judge import Verdict

GENERATED = 300
SHOWN = 3
"""Specs that README names of each feature."""


def main() -> int:
    arguments = _arguments()
    if arguments.tables:
        print(tables())
        return 0
    began = time.monotonic()
    cases = tuple(case for case in corpus.cases() if not case.needs or _docker())
    with Upstream(judge.upstream_python()) as upstream:
        of_corpus = {case.name: _said(case.name, judge.judge_case(case, upstream)) for case in cases}
        made = {f"seed {seed}": workflow_of(seed) for seed in range(arguments.generated)}
        of_made = {name: _said(name, judge.judge_generated(it, upstream)) for name, it in made.items()}
    _counts(of_corpus, of_made, time.monotonic() - began)
    _deviations({**of_corpus, **of_made})
    _features(cases, Counter(feature for it in made.values() for feature in it.features))
    return int(any(verdict.problems for verdict in (*of_corpus.values(), *of_made.values())))


@cache
def _docker() -> bool:
    """Whether containers can be started here; specs that need them are left out where not."""
    try:
        runtimes.find("docker")
    except ToolMissing as error:
        print(f"without the specs that need docker: {error}", file=sys.stderr)
        return False
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--generated", type=int, default=GENERATED, help="how many workflows are made at random")
    parser.add_argument("--tables", action="store_true", help="only print the tables that README has")
    return parser.parse_args()


def tables() -> str:
    """README's tables: each feature of the language with specs that test it, and every intended deviation."""
    specs: dict[str, list[str]] = {}
    for case in corpus.cases():
        for feature in case.features:
            specs.setdefault(feature, []).append(case.name)
    lines = ["| feature | tested by |", "|---|---|"]
    for feature in sorted(specs, key=str.lower):
        names = specs[feature]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines.append(f"| {feature} | {', '.join(f'`{name}`' for name in names[:SHOWN])}{more} |")
    lines += ["", "| deviation | recast-dm | upstream yadage |", "|---|---|---|"]
    lines += [f"| {name} | {each.ours} | {each.upstream} |" for name, each in corpus.deviations().items()]
    return "\n".join(lines)


def _said(name: str, verdict: Verdict) -> Verdict:
    """Says at once what nobody has explained."""
    for problem in verdict.problems:
        print(f"{name}: {problem}", file=sys.stderr, flush=True)
    return verdict


def _counts(of_corpus: Mapping[str, Verdict], of_made: Mapping[str, Verdict], seconds: float) -> None:
    verdicts = (*of_corpus.values(), *of_made.values())
    print("| what | how many |\n|---|---|")
    print(f"| specs of the corpus | {len(of_corpus)} |")
    print(f"| generated workflows | {len(of_made)} |")
    print(f"| executed with real commands on both | {sum(verdict.executed for verdict in verdicts)} |")
    for name, group in (("of the corpus", of_corpus), ("generated", of_made)):
        refused = sum(verdict.refused for verdict in group.values())
        print(f"| {name}, refused by upstream | {refused} ({100 * refused / max(len(group), 1):.0f} %) |")
    print(f"| intended deviations | {sum(verdict.deviation is not None for verdict in verdicts)} |")
    print(f"| unexplained differences | {sum(bool(verdict.problems) for verdict in verdicts)} |")
    print(f"| seconds | {seconds:.0f} |\n")


def _deviations(verdicts: Mapping[str, Verdict]) -> None:
    shown = Counter(verdict.deviation for verdict in verdicts.values())
    print("| deviation | workflows | ours | upstream |\n|---|---|---|---|")
    for name, deviation in corpus.deviations().items():
        print(f"| {name} | {shown[name]} | {deviation.ours} | {deviation.upstream} |")
    print()


def _features(cases: tuple[corpus.Case, ...], made: Mapping[str, int]) -> None:
    """Which specs test which feature, and how many generated workflows use it."""
    specs: dict[str, list[str]] = {}
    for case in cases:
        for feature in case.features:
            specs.setdefault(feature, []).append(case.name)
    print("| feature | specs |\n|---|---|")
    for feature in sorted(specs):
        print(f"| {feature} | {', '.join(specs[feature])} |")
    print("\n| feature | generated workflows |\n|---|---|")
    for feature in sorted(made):
        print(f"| {feature} | {made[feature]} |")


if __name__ == "__main__":
    sys.exit(main())
