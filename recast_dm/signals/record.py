"""What is known about a signal model before any point is chosen: one frozen record per model.

`SignalRecord.document()` is the JSON document `recast-dm/signal-model/1`; its schema is
`recast_dm/schemas/signal-model-1.json`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from recast_dm.errors import UsageError
from recast_dm.signals.text import quantity, shortest

SCHEMA = "recast-dm/signal-model/1"


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of a parameter's range, itself allowed, and why the range ends there."""

    value: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A free parameter. Without a default it is required; `unit` is `1` for a pure number.

    `nonzero` says, where it is not empty, why zero has no meaning; `choices` are, where there are any, the only values.

    >>> mass = Parameter(name="m_med", unit="GeV", meaning="mediator mass",
    ...                  lower=Bound(50.0, "slow below"), upper=Bound(10000.0, "never resonant above"))
    >>> mass.required, mass.range
    (True, '50 to 10000 GeV')
    """

    name: str
    unit: str
    meaning: str
    lower: Bound
    upper: Bound
    default: float | None = None
    kind: Literal["real", "integer"] = "real"
    nonzero: str = ""
    choices: tuple[float, ...] = ()

    @property
    def required(self) -> bool:
        return self.default is None

    @property
    def range(self) -> str:
        """The allowed values, for people."""
        if self.choices:
            return " or ".join(quantity(choice, self.unit) for choice in self.choices)
        return f"{shortest(self.lower.value)} to {quantity(self.upper.value, self.unit)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """A number that the model, not the user, chooses."""

    name: str
    value: float
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class DarkMatter:
    """`self_conjugate` is true for Majorana fermions and real scalars, false for Dirac fermions.

    `spin` is None where a parameter decides it.
    """

    spin: float | None
    self_conjugate: bool


@dataclass(frozen=True, slots=True)
class Mediator:
    """`parity` is `-` for a vector, `+` for an axial vector; `width` is `auto`: from the couplings."""

    spin: int
    parity: Literal["+", "-"]
    width: Literal["auto"]


@dataclass(frozen=True, slots=True)
class Generator:
    """What the model was checked with. Beam energy, PDF, tune and seed of a run are the analysis's."""

    program: str
    version: str
    pdf: str


@dataclass(frozen=True, slots=True)
class Planes:
    """Planes in which a limit on the model may be shown.

    `dd`: direct detection, spin-independent or spin-dependent on protons and neutrons. `id`: annihilation.
    """

    dd: tuple[Literal["SI", "SD-p", "SD-n"], ...]
    id: Literal["s-wave", "p-wave", "none"]


@dataclass(frozen=True, slots=True)
class Citation:
    """An arXiv id with its title."""

    arxiv: str
    title: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Couplings that the field calls by a name, such as A1; masses are left to the user.

    >>> dict(Benchmark("A1", (("g_q", 0.25), ("g_dm", 1.0), ("g_l", 0.0))).values)
    {'g_q': 0.25, 'g_dm': 1.0, 'g_l': 0.0}
    """

    name: str
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRecord:
    """A signal model, described. `dm` and `mediator` are None where the model has none."""

    name: str
    title: str
    family: str
    version: str
    parameters: tuple[Parameter, ...]
    fixed: tuple[Fixed, ...]
    dm: DarkMatter | None
    mediator: Mediator | None
    order: Literal["LO", "NLO", "NNLO+NNLL"]
    generator: Generator
    validity: tuple[str, ...]
    planes: Planes
    citations: tuple[Citation, ...]
    benchmarks: tuple[Benchmark, ...] = ()

    def parameter(self, name: str) -> Parameter:
        """The parameter of that name. Raises KeyError."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def benchmark(self, name: str) -> Benchmark:
        """The benchmark of that name. Raises UsageError."""
        for benchmark in self.benchmarks:
            if benchmark.name == name:
                return benchmark
        known = ", ".join(benchmark.name for benchmark in self.benchmarks)
        raise UsageError(
            f"{self.name} has no benchmark {name!r}",
            hint=f"its benchmarks: {known}" if known else "it has none: give its parameters",
        )

    def document(self) -> dict[str, Any]:
        """The JSON document (schema `recast-dm/signal-model/1`)."""
        document: dict[str, Any] = {"schema": SCHEMA, **asdict(self)}
        for parameter in document["parameters"]:
            parameter["required"] = parameter["default"] is None
        for benchmark in document["benchmarks"]:
            benchmark["values"] = dict(benchmark["values"])
        return _json(document)  # type: ignore[no-any-return]  # a mapping in, a mapping out


def _json(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    return value
