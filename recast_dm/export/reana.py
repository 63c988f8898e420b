"""A capsule as a directory that REANA's own client takes: `reana-client validate`, `create`, `upload` and `start`.

It holds what `recast-dm submit` sends, byte for byte; so a run that the official client makes of it is one that
`recast-dm download` can read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from recast_dm.backends.reana import note
from recast_dm.backends.reana.translate import MANIFEST, Translated, translate
from recast_dm.capsule import Capsule
from recast_dm.errors import UsageError
from recast_dm.export import Exported
from recast_dm.export.packing import write
from recast_dm.export.scans import Scan
from recast_dm.images.placed import Placed
from recast_dm.images.push import placed
from recast_dm.reinterpret import of_capsule, planned

README = "README.md"


@dataclass(frozen=True, slots=True)
class ReanaDirectory:
    """The workflow as it was captured; `registry` is where its images were pushed to."""

    registry: str | None = None

    def export(self, source: Path | Capsule | Scan, output: Path) -> Exported:
        """Raises UsageError for what is no capsule, SpecError for what REANA cannot run as we do."""
        if not isinstance(source, Capsule):
            raise UsageError(
                "only a capsule can be exported for REANA",
                hint="`recast-dm submit` sends a point of a signal model",
            )
        work = planned(of_capsule(source)).work
        held: dict[str, Placed] = {}
        if self.registry is not None:
            if source.layout is None:
                raise UsageError(f"{source.path} holds no images: it is of format 1", hint="capture it anew")
            held = placed(source.layout, self.registry, work.workflow.images())
        made = translate(work, images=held, results=work.results)
        members: dict[str, Path | bytes] = {
            **made.files,
            note.FILE: note.content(note.note(work, made, held)),
            README: _readme(source, made, self.registry).encode(),
        }
        return write(members, output)


def _readme(capsule: Capsule, made: Translated, registry: str | None) -> str:
    images = "\n".join(f"- `{name}`: `{reference}`" for name, reference in (made.images or {}).items())
    unpinned = "\n".join(f"- `{image.reference}`" for image in capsule.images)
    notes = "\n".join(f"- {text}" for text in made.notes)
    pinned = (
        f"The images are pinned by their digests; `recast-dm images push` brings them to {registry}:\n\n{images}"
        if registry
        else "The images are called by the names that the workflow has for them, which nothing pins; `recast-dm images "
        f"push` and `recast-dm export --format reana --registry` do that:\n\n{unpinned}"
    )
    return f"""# {capsule.analysis.title}

`{capsule.analysis.name}` (capsule sha256:{capsule.digest}) as REANA runs it.

    reana-client validate -f {MANIFEST}
    reana-client create -n {capsule.analysis.name.replace(".", "-")} -f {MANIFEST}
    reana-client upload
    reana-client start

{pinned}

What is otherwise there than with `recast-dm run`:

{notes}
"""
