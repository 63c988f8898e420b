"""The yadage semantics as pure functions, and the one loop that executes them.

`expand` makes steps out of stages, `publishers` says what steps publish, `command` and `key` what they do and when two
do the same; `execute` is the loop, with `rundir` and `cache` for what is finished and `events` for what happens.
"""

from recast_dm.engine.expand import plan
from recast_dm.engine.publishers import prepublish, publish, publish_init

__all__ = ["plan", "prepublish", "publish", "publish_init"]
