"""The yadage semantics as pure functions (`expand`, `key`, `command`) and the one loop that executes (`execute`)."""

from recast_dm.engine.expand import plan, publish

__all__ = ["plan", "publish"]
