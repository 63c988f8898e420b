"""`recast-dm images`: where images are, and how they get there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import options, view
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.capsule import Capsule

app = typer.Typer(help="Images: list or push those of a capsule, load some into a runtime.", no_args_is_help=True)
CapsuleArgument = Annotated[Path, typer.Argument(metavar="CAPSULE", help="A capsule, as `capture` wrote it.")]
RegistryArgument = Annotated[
    str, typer.Argument(metavar="REGISTRY", help="HOST[:PORT][/PATH]; what `docker login` keeps is used.")
]


@app.command()
def push(
    capsule: CapsuleArgument, registry: RegistryArgument, quiet: options.Quiet = False, json: options.Json = False
) -> None:
    """Push a capsule's images to a registry, so that a cluster can pull exactly these. What is there is not sent again.

    \b
    Examples:
      recast-dm images push my-search.capsule registry.example.org/my-group
      recast-dm images push my-search.capsule localhost:5000 --json
    """
    from recast_dm.images import push as pushing

    layout = _layout(_opened(capsule))

    def told(sent: pushing.Sent) -> None:
        if not quiet:
            view.say(f"{sent.digest[:19]}  {view.size(sent.size)}{'  is there' if sent.there else ''}")

    done = pushing.push(layout, registry, told=told)
    if json:
        images = [
            {"image": each.placed.image.reference, "reference": each.placed.reference, "sent": each.sent}
            for each in done
        ]
        view.document({"schema": "recast-dm/images/1", "capsule": str(capsule), "registry": registry, "images": images})
        return
    rows = [(each.placed.image.reference, each.placed.reference, view.size(each.sent)) for each in done]
    view.out(view.table(rows, head=("image", "at the registry", "sent")))


@app.command()
def load(
    references: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="By the names that workflows use.")],
    origins: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="docker, podman, sandbox, registry[:HOST], oci:DIR, docker-archive:FILE; repeat.",
            show_default="whatever else is here",
        ),
    ] = None,
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    json: options.Json = False,
) -> None:
    """Give a runtime images from another one's store, a registry or a file. `run` does so by itself with what is here.

    \b
    Examples:
      recast-dm images load my-group/my-search:1.0 --from docker --runtime podman
      recast-dm images load my-group/my-search:1.0 --from oci:images --runtime sandbox
    """
    from recast_dm import runtimes
    from recast_dm.images import sources, stores
    from recast_dm.images.blobs import Blobs

    found = runtimes.find(runtime)
    store = runtimes.store_of(found)
    if store is None:
        raise UsageError(f"{found.about().name} has no images of its own")
    shared = Blobs(options.DEFAULTS.cache_dir / "images")
    places = [sources.source(each) for each in origins or ()] or stores.others(store)
    with shared.in_use():
        taken = sources.collect(references, places, shared, option="--from")
        store.give(shared.root, taken, [[each.image.reference] for each in taken])
    if json:
        images = [{"image": each.image.reference, "image_id": each.image.image_id} for each in taken]
        view.document({"schema": "recast-dm/images-load/1", "runtime": store.name, "images": images})
        return
    for each in taken:
        view.out(f"{each.image.reference}  {each.image.image_id[:19]}  is in {store.name}")


@app.command("ls")
def list_images(
    capsule: CapsuleArgument,
    registry: Annotated[
        str | None, typer.Option("--registry", metavar="REGISTRY", help="Also ask whether this one holds them.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List a capsule's images; with --registry, where they are there.

    \b
    Examples:
      recast-dm images ls my-search.capsule
      recast-dm images ls my-search.capsule --registry registry.example.org/my-group --json
    """
    from recast_dm.images import push as pushing

    found = _opened(capsule)
    placed = pushing.placed(_layout(found), registry) if registry else {}
    problems = {name: pushing.reachable(each.reference) for name, each in placed.items()}
    if json:
        images = [
            {
                "image": image.reference,
                "image_id": image.image_id,
                **(
                    {"reference": placed[image.reference].reference, "problem": problems[image.reference]}
                    if image.reference in placed
                    else {}
                ),
            }
            for image in found.images
        ]
        view.document({"schema": "recast-dm/images/1", "capsule": str(capsule), "registry": registry, "images": images})
        return
    rows = [
        (
            image.reference,
            image.image_id[:19],
            *((placed[image.reference].reference, problems[image.reference] or "is there") if placed else ()),
        )
        for image in found.images
    ]
    view.out(view.table(rows, head=("image", "id", *(("at the registry", "state") if placed else ()))))


def _opened(capsule: Path) -> Capsule:
    from recast_dm.capsule import open_capsule

    return open_capsule(capsule, options.cache())


def _layout(capsule: Capsule) -> Path:
    if capsule.layout is None:
        raise UsageError(f"{capsule.path} holds no images: it is of format 1", hint="capture it anew")
    return capsule.layout
