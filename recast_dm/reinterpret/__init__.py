"""A capsule and a signal model become results: the point's init parameters go in, a limit comes out."""

from recast_dm.reinterpret.closure import Closure, compare
from recast_dm.reinterpret.rerun import Result, example_inputs, rerun, run

__all__ = ["Closure", "Result", "compare", "example_inputs", "rerun", "run"]
