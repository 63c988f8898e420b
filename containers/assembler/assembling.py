"""Images put together from layers: the base, the installed wheels, the code. All lie in one OCI layout, each blob once.

BUILD/images           the OCI layout; only images whose checks have passed are in it
BUILD/layers/<key>     of what wheels are installed from: the layer that this became
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from containers.assembler import base, context, dockerfile, trees, wheels
from containers.assembler.dockerfile import Recipe
from containers.assembler.place import Place, labels
from containers.assembler.saying import last_words, say
from recast_dm import images, store
from recast_dm.errors import Location, RecastError, StepFailed
from recast_dm.images import blobs, layout, platforms
from recast_dm.images.blobs import Blobs, Layer
from recast_dm.images.layout import Layout, Stored
from recast_dm.images.sources import FromLayout, kept
from recast_dm.model import Image

VERSION = 3
"""Raise it when the same recipe becomes another image."""


class CheckFailed(StepFailed):
    """A RUN line that did not succeed in its finished image."""


@dataclass(kw_only=True)
class Workshop:
    """Where images are made, and the runtime that gets them. One process at a time: the caller holds the lock."""

    root: Path
    build: Path
    temporary: Path
    place: Place

    @property
    def layout(self) -> Path:
        return self.build / "images"

    @property
    def logs(self) -> Path:
        return store.make_directory(self.build / "log")

    @property
    def shared(self) -> Blobs:
        return self.place.shared

    def known(self) -> dict[str, Stored]:
        """The images of the layout; none where it cannot be read: they are made anew."""
        try:
            return {each.image.reference: each for each in Layout(self.layout).images()}
        except RecastError:
            return {}

    # --- the base ----------------------------------------------------------------------------------------------------

    @cached_property
    def base(self) -> Stored:
        """The base image, its bytes in `shared` and in the layout; made when it is nowhere here."""
        found = self._base_of_layout() or self._base_of_runtime()
        if found is None:
            found = base.made(self.shared, self.temporary, self.logs)
        kept = self.known().get(base.REFERENCE)
        if kept is None or kept.image.image_id != found.image.image_id:
            self._keep(found)
        return found

    def _base_of_layout(self) -> Stored | None:
        there = self.known().get(base.REFERENCE)
        if there is None or not base.is_made_by(labels(there), base.recipe()):
            return None
        try:
            found = FromLayout(self.layout).take([base.REFERENCE], self.shared)[base.REFERENCE]
            return replace(found, original=None)
        except RecastError as error:
            say(f"{base.REFERENCE} is made anew: {error.message}")
            return None

    def _base_of_runtime(self) -> Stored | None:
        """What is left of it after `make clean`."""
        there = self.place.find(base.REFERENCE)
        found = None if there is None else kept(base.REFERENCE, there.image_id, self.shared)
        return found if found is not None and base.is_made_by(labels(found), base.recipe()) else None

    @cached_property
    def base_here(self) -> Image:
        """The base as the runtime has it."""
        there = self.place.find(base.REFERENCE)
        if there is None or not images.same(there, self.base.image):
            self.place.give(self.base, [base.REFERENCE])
        return self._here(self.base, base.REFERENCE)

    def _here(self, stored: Stored, name: str | None = None) -> Image:
        found = self.place.find(name or stored.image.image_id)
        if found is None or not images.same(found, stored.image):
            raise StepFailed(f"{self.place.store.name} took {stored.image.reference}, and has it not")
        return found

    @cached_property
    def directories(self) -> trees.Directories:
        """The directories of the base."""
        return trees.directories_of(blobs.open_layer(self.shared.root, each) for each in self.base.layers)

    # --- an image ----------------------------------------------------------------------------------------------------

    def image(self, directory: Path) -> None:
        """Makes the image of a container directory, unless the runtime has it as its recipe is now."""
        reference = context.reference(directory)
        place = self.temporary / directory.name
        context.gather(self.root, directory, place)
        file = directory / "Dockerfile"
        recipe = dockerfile.read((self.root / file).read_text(encoding="utf-8"), str(file))
        wanted = self.recipe(place)
        known = self.known().get(reference)
        if known is not None and labels(known).get(base.LABEL) != wanted:
            known = None
        here = self.place.find(reference)
        if known is None and here is not None:
            known = self._of_runtime(here, wanted)
        if known is not None and here is not None and images.same(here, known.image):
            say(f"{reference} is up to date")
        elif known is not None:
            say(f"{reference}: loading into {self.place.store.name}")
            self.place.give(FromLayout(self.layout).take([reference], self.shared)[reference], [reference])
        else:
            say(f"{reference}: assembling")
            made = self.assembled(reference, place, recipe, wanted)
            self._check(made, recipe.checks)
            self.place.give(made, [reference])
            self._keep(made)
            say(f"{reference} is built: {made.image.image_id}")
        shutil.rmtree(place)

    def recipe(self, place: Path) -> str:
        """What an image is made of, as a digest: the base, the locks, every byte of its context."""
        lock = store.sha256_file(self.root / wheels.PIP_LOCK)
        return store.digest([VERSION, platforms.here(), self.base.image.image_id, lock, context.digest(place)])

    def _of_runtime(self, here: Image, wanted: str) -> Stored | None:
        """An image that the runtime still has after `make clean`, if it is the one that is wanted."""
        found = kept(here.reference, here.image_id, self.shared)
        if found is None or labels(found).get(base.LABEL) != wanted:
            return None
        self._keep(found)
        return found

    def assembled(self, reference: str, place: Path, recipe: Recipe, wanted: str) -> Stored:
        """The image, its bytes in `shared`. No runtime knows it yet."""
        layers = [*self.base.layers]
        if recipe.packages is not None:
            layers.append(self._packages(place, recipe.packages))
        if recipe.copies:
            layers.append(self._layer(context.code(place, recipe)))
        own = self.base.config.get("config") or {}
        settings = {
            **own,
            "Env": merged(own.get("Env") or [], recipe.env),
            "Labels": {base.LABEL: wanted},
        }
        return base.stored(self.shared, layers, settings, reference=reference, platform=self.base.image.platform)

    def _packages(self, place: Path, packages: str) -> Layer:
        """The layer of the locked wheels, installed by the image's own Python; the same wheels are installed once."""
        locks = [store.sha256_file(each) for each in (self.root / wheels.PIP_LOCK, place / "requirements.txt")]
        note = self.build / "layers" / store.digest([VERSION, self.base.image.image_id, locks, packages])
        known = self.shared.layer(note.read_text()) if note.is_file() else None
        if known is None:
            name = place.name
            wheels.fetch(self.root, place, self.build / "wheels", name, self.logs / f"{name}-wheels.log")
            known = self._layer(self._installed(place, packages))
            store.write_atomic(note, known.diff_id.encode())
            shutil.rmtree(self.temporary / "workdir", ignore_errors=True)
        return known

    def _installed(self, place: Path, packages: str) -> trees.Tree:
        """The wheels as pip installs them, compiled so that nothing depends on when that was."""
        tree = f"/workdir/tree{packages}"
        pip = next((place / "wheels").glob("pip-*.whl")).name
        install = ["python3", f"/inputs/0/wheels/{pip}/pip", "install", "--no-index", "--find-links=/inputs/0/wheels"]
        install += ["--require-hashes", "--no-cache-dir", "--no-compile", "--disable-pip-version-check"]
        install += ["--target", tree, "-r", "/inputs/0/requirements.txt"]
        code, log = self.place.run(self.base_here, install, self.temporary, context=place)
        if code != 0:
            raise StepFailed(f"{place.name}: pip could not install the locked wheels: {last_words(log)}")
        # Without compiled modules every step would compile all that it imports. Times and hash seeds would change them.
        compiling = ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        compiling += ["-s", "/workdir/tree", "-p", "/", tree]
        code, log = self.place.run(self.base_here, compiling, self.temporary, PYTHONHASHSEED="0")
        if code not in (0, 1):  # 1: a file is no Python of today, and nobody imports it
            raise StepFailed(f"{place.name}: the wheels could not be compiled: {last_words(log)}")
        found = trees.Tree()
        found.add(self.temporary / f"workdir/tree{packages}", packages, compiled=True)
        return found

    def _layer(self, tree: trees.Tree) -> Layer:
        tar = self.temporary / "layer.tar"
        with tar.open("wb") as out:
            tree.write(out, self.directories)
        layer = self.shared.add_layer(lambda: tar.open("rb"))
        tar.unlink()
        return layer

    def _check(self, made: Stored, checks: Iterable[dockerfile.Check]) -> None:
        """Runs the checks of an image in it, before it has a name. Raises CheckFailed."""
        self.place.give(made, [])
        here = self._here(made)
        for each in checks:
            code, log = self.place.run(here, ["/bin/sh", "-c", each.command], self.temporary)
            if code != 0:
                self.place.forget(made)
                raise _failed(made.image.reference, each.where, code, log, self.logs)

    # --- the layout --------------------------------------------------------------------------------------------------

    def _keep(self, made: Stored) -> None:
        """Puts an image into the layout, in the place of an older one, whose own blobs go."""
        all_of_them = {**self.known(), made.image.reference: made}
        for each in all_of_them.values():
            if not self.shared.has(each.image.image_id):
                self.shared.add(Layout(self.layout).blob(each.image.image_id))
        layout.write(self.layout, all_of_them.values(), self.shared)
        _drop_others(self.layout)


def merged(own: Iterable[str], more: Iterable[str]) -> list[str]:
    """Variables of an image over those of its base, in docker's order.

    >>> merged(["LANG=C", "A=1"], ["A=2", "B=3"])
    ['LANG=C', 'A=2', 'B=3']
    """
    found = {each.partition("=")[0]: each for each in own}
    return list({**found, **{each.partition("=")[0]: each for each in more}}.values())


def _failed(reference: str, where: Location, code: int, log: Path, logs: Path) -> CheckFailed:
    kept = logs / f"{reference.partition('/')[2].partition(':')[0]}.log"
    shutil.copyfile(log, kept)
    said = log.read_text(errors="replace")
    return CheckFailed(
        f"{where}: the check of {reference} ended with exit code {code}: {last_words(log)}",
        hint=f"its last lines:\n{said[-1500:]}\nthe whole log is {kept}. Mend the Dockerfile or the code, then repeat",
    )


def _drop_others(root: Path) -> None:
    """Removes the blobs of a layout that no image of it names."""
    found = Layout(root)
    named = {entry["digest"] for entry in found.index()}
    for each in found.images():
        named |= {each.image.image_id, *(layer.digest for layer in each.layers)}
        named |= {each.original} if each.original else set()
    for path in (root / "blobs" / "sha256").iterdir():
        if f"sha256:{path.name}" not in named:
            store.remove(path)
