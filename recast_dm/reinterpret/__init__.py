"""A capsule and a signal model become results: the point's init parameters go in, a limit comes out."""

from recast_dm.reinterpret.closure import Closure, compare
from recast_dm.reinterpret.planned import Planned, example_inputs, planned
from recast_dm.reinterpret.points import Answer, Point
from recast_dm.reinterpret.rerun import rerun, run
from recast_dm.reinterpret.result import Result, concluded
from recast_dm.reinterpret.subject import Subject, of_analysis, of_capsule, of_source

__all__ = [
    "Answer",
    "Closure",
    "Planned",
    "Point",
    "Result",
    "Subject",
    "compare",
    "concluded",
    "example_inputs",
    "of_analysis",
    "of_capsule",
    "of_source",
    "planned",
    "rerun",
    "run",
]
