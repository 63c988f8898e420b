"""`recast-dm quota`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recast_dm.cli import options, reana, view

if TYPE_CHECKING:
    from recast_dm.backends.reana.values import Quota


def quota(json: options.Json = False) -> None:
    """Say what you use at REANA, and what you may.

    \b
    Examples:
      recast-dm quota
      recast-dm quota --json
    """
    you = reana.connected().you()
    if json:
        resources = [{"resource": name, **_document(each)} for name, each in sorted(you.quota.items())]
        view.document({"schema": "recast-dm/quota/1", "email": you.email, "quotas": resources})
        return
    rows = [(name, *_cells(each)) for name, each in sorted(you.quota.items())]
    view.out(view.table(rows, head=("resource", "used", "limit", "health")) if rows else "the site keeps no quotas")


def _document(each: Quota) -> dict[str, object]:
    """Bytes of disk, milliseconds of processors."""
    return {"usage": each.usage, "limit": each.limit, "health": each.health}


def _cells(each: Quota) -> tuple[str, str, str]:
    limit = "none" if each.limit is None else each.shown_limit or str(each.limit)
    return reana.plain(each.shown or each.usage), reana.plain(limit), reana.plain(each.health or "")
