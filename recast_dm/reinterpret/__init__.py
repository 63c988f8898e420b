"""A capsule and a signal model become results: the point's init parameters go in, a limit comes out."""

from recast_dm.reinterpret.closure import Closure, compare
from recast_dm.reinterpret.points import Answer, Point
from recast_dm.reinterpret.rerun import Result, example_inputs, rerun, run
from recast_dm.reinterpret.subject import Subject, of_analysis, of_capsule, of_source

__all__ = [
    "Answer",
    "Closure",
    "Point",
    "Result",
    "Subject",
    "compare",
    "example_inputs",
    "of_analysis",
    "of_capsule",
    "of_source",
    "rerun",
    "run",
]
