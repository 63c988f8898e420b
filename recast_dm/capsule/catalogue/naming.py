"""What a name means where a capsule or an analysis is wanted."""

from __future__ import annotations

from pathlib import Path

from recast_dm.capsule.catalogue import entries, listing
from recast_dm.capsule.catalogue.listing import Listed
from recast_dm.config import Config
from recast_dm.errors import UsageError
from recast_dm.spec import remote


def known(config: Config) -> list[Listed]:
    """Everything that the user's catalogue and RECAST's directories name."""
    return listing.listed(entries.load(config.catalogue), config.recast_catalogues)


def meant(name: str, config: Config) -> str:
    """A path or an address as it is; any other name as the catalogue has it.

    A name that nobody knows is given back, for whoever opens it to say what is wrong, unless the catalogue has others:
    then UsageError names these.
    """
    if remote.is_remote(name) or exists(name) or exists(name.rpartition("#")[0]):
        return name
    things = known(config)
    if not things:
        return name
    try:
        return str(listing.resolve(things, name))
    except UsageError as error:
        message = f"there is no such path, and {error.message}"
        raise UsageError(message, hint=f"{error.hint}\n`recast-dm catalogue ls` lists what is known") from None


def exists(name: str) -> bool:
    """Whether a path is there; any text may be asked about.

    >>> exists(""), exists("a" * 100_000), exists("nul" + chr(0))
    (False, False, False)
    """
    try:
        return bool(name) and Path(name).exists()
    except (OSError, ValueError):  # too long; a NUL byte
        return False
