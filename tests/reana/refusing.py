"""The ways in which REANA says no."""

from __future__ import annotations


class Refusal(Exception):
    """An answer other than success: its HTTP status, and REANA's words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def unknown(w: str, status: int) -> Refusal:
    """No such workflow; which status that is depends on who looks: the server (403) or what lies behind it (404)."""
    return Refusal(
        status,
        f"REANA_WORKON is set to {w}, but that workflow does not exist. "
        "Please set your REANA_WORKON environment variable appropriately.",
    )
