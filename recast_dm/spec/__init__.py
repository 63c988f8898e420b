"""yadage text to a typed Workflow: bounded YAML, `$ref`, templates, and errors with file:line."""

from recast_dm.spec.yadage import load, parse_workflow

__all__ = ["load", "parse_workflow"]
