"""Capture by tracing: a plain script runs under strace, and a draft of its analysis is made of what it did.

running ─▶ strace: typed calls ─▶ commands: what the script started ─▶ steps: who needs whose files
                                                provenance: who owns a file ─┐      │
                                                                             ▼      ▼
                                                                    draft + dockerfile ─▶ writing
"""

from recast_dm.capsule.tracing.trace import name_of, trace

__all__ = ["name_of", "trace"]
