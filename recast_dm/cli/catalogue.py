"""`recast-dm catalogue`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, described, options, view
from recast_dm.errors import IntegrityError

if TYPE_CHECKING:
    from recast_dm.capsule.catalogue.listing import Listed, Place
    from recast_dm.spec.remote import Fetch

app = typer.Typer(help="The capsules and analyses known here.", no_args_is_help=True, rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="A name, a digest or a place, as `catalogue ls` gives them.")]


@app.command("add")
def add(
    words: Annotated[
        list[str],
        typer.Argument(metavar="PATH|URL...", help="Capsules, analyses, entries; directories and lists of them."),
    ],
    allow_remote: options.AllowRemote = False,
    json: options.Json = False,
) -> None:
    """Enter capsules, analyses and RECAST entries; nothing is copied.

    \b
    Examples:
      recast-dm catalogue add my-search.capsule specs/
      recast-dm catalogue add https://example.org/capsules/list.yml --allow-remote
    """
    from recast_dm.capsule.catalogue import entries, places

    fetch = options.fetcher(allow_remote)
    found = [each for word in words for each in places.expand(word, fetch)]
    new = entries.add(options.DEFAULTS.catalogue, found)
    if json:
        added = [
            {
                "place": each.place,
                "new": each.place in new,
                "about": each.about.document() if each.about else None,
                "reason": each.reason or None,
            }
            for each in found
        ]
        view.document({"schema": "recast-dm/catalogue-add/1", "added": added})
        return
    rows = [
        (
            "added" if each.place in new else "known already",
            each.about.name if each.about else "",
            each.about.kind if each.about else each.reason or "on a server",
            each.place,
        )
        for each in found
    ]
    view.out(view.table(rows))


@app.command("ls")
def ls(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORD]...", help="Only what all of these words occur in.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List what is known, and its state.

    A state is that of the last check, unless something has changed since.

    \b
    Examples:
      recast-dm catalogue ls
      recast-dm catalogue ls pythia8 ok --json
    """
    from recast_dm.capsule.catalogue import listing

    found = [each for each in chosen.known() if listing.matches(each, words or ())]
    if json:
        view.document({"schema": "recast-dm/catalogue-ls/1", "known": [each.document() for each in found]})
        return
    if not found:
        view.say("nothing is known here" + (" with these words" if words else "; `recast-dm catalogue add` enters it"))
        return
    head = ("name", "kind", "state", "verified", "size", "formats", "references", "title", "place")
    view.out(_table([row for each in found for row in _rows(each)], head))


def _table(rows: list[tuple[str, ...]], head: tuple[str, ...]) -> str:
    """A table without the columns that nothing stands in."""
    used = [n for n in range(len(head)) if any(row[n] for row in rows)]
    return view.table([[row[n] for n in used] for row in rows], head=[head[n] for n in used])


def _rows(each: Listed) -> Iterator[tuple[str, ...]]:
    """A line a place; what it is stands on the first."""
    what = each.about
    title = what.title if len(what.title) <= 40 else f"{what.title[:37]}..."
    size = "" if what.size is None else view.size(what.size)
    for n, place in enumerate(each.places):
        verified = _time(place.checked.time) if place.checked and place.checked.ok else ""
        about = (size, ", ".join(what.formats), _references(what.references), title)
        first = n == 0
        yield (
            what.name if first else "",
            what.kind if first else "",
            place.state,
            verified,
            *(about if first else ("",) * 4),
            f"{place.shown}: {place.reason[:80]}" if place.reason else place.shown,
        )


def _references(said: Mapping[str, str]) -> str:
    return ", ".join(f"{key}:{value}" for key, value in said.items())


def _time(written: str) -> str:
    try:
        return f"{datetime.fromisoformat(written).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return written


@app.command("describe")
def describe(name: Name, json: options.Json = False) -> None:
    """Describe one thing, and how to run it.

    \b
    Examples:
      recast-dm catalogue describe my-search
      recast-dm catalogue describe my-search --json
    """
    from pathlib import Path

    from recast_dm.capsule.catalogue import listing
    from recast_dm.capsule.catalogue.about import details

    things = chosen.known()
    thing = listing.find(things, name)
    state = thing.best.state
    told = None if state in ("remote", "missing", "invalid") else details(Path(thing.best.place))
    commands = described.commands(things, thing, told)
    if json:
        document = {"schema": "recast-dm/catalogue-describe/1", **thing.document()}
        view.document({**document, "details": told.document() if told else None, "commands": commands})
        return
    view.out(view.table(described.rows(thing, told)))
    view.out("".join(f"\n  {command}" for command in commands))


@app.command("check")
def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="What to check.", show_default="everything here")
    ] = None,
    allow_remote: options.AllowRemote = False,
    json: options.Json = False,
) -> None:
    """Check capsules and analyses.

    Of a capsule every byte, of an analysis its workflow; exit 5 when one is not in order.

    \b
    Examples:
      recast-dm catalogue check
      recast-dm catalogue check my-search --json
    """
    from recast_dm.capsule.catalogue import listing

    things = chosen.known()
    named = [(listing.find(things, name), name) for name in names or ()]
    wanted = [(each, listing.meant(each, name)) for each, name in named] if names else [(t, t.places) for t in things]
    fetch = options.fetcher(allow_remote)
    rows = []
    for thing, where in wanted:
        for place in where:
            rows.append({"name": thing.about.name, "place": place.shown, **_check(place, fetch)})
            if not json:
                view.out(_checked(rows[-1]))
    if json:
        view.document({"schema": "recast-dm/catalogue-check/1", "checked": rows})
    elif not rows:
        view.say("nothing is known here; `recast-dm catalogue add` enters it")
    if any(row["check"] is not None and not row["check"]["ok"] for row in rows):
        raise typer.Exit(IntegrityError.exit_code)


def _check(place: Place, fetch: Fetch | None) -> dict[str, Any]:
    """Checks one place, and keeps what was found."""
    from recast_dm.capsule.catalogue import checking, entries

    if place.state == "remote":
        return {"check": None, "skipped": "it lies on a server"}
    outcome = checking.check(place.place, fetch, options.cache())
    if outcome.check is None:
        return {"check": None, "skipped": outcome.skipped}
    entries.record(options.DEFAULTS.catalogue, place.place, outcome.check, outcome.about)
    return {"check": outcome.check.document(), "skipped": None}


def _checked(row: Mapping[str, Any]) -> str:
    said = row["check"]
    head = f"{row['name']}  {row['place']}"
    if said is None:
        return f"not checked  {head}: {row['skipped']}"
    return "\n  ".join([f"{'ok' if said['ok'] else 'INVALID'}  {head}", *said["problems"]])


@app.command("rm")
def rm(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names, digests or places.")],
    json: options.Json = False,
) -> None:
    """Forget what lies at places. No file is deleted.

    \b
    Examples:
      recast-dm catalogue rm my-search
      recast-dm catalogue rm /data/my-search.capsule --json
    """
    from recast_dm.capsule.catalogue import entries, listing

    things = chosen.known()
    gone = [place for name in names for place in listing.own_places(listing.find(things, name), name)]
    entries.remove(options.DEFAULTS.catalogue, gone)
    if json:
        view.document({"schema": "recast-dm/catalogue-rm/1", "forgotten": gone})
        return
    for place in gone:
        view.out(f"forgotten: {place}")
    view.say("no file was deleted")
