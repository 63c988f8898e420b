"""A bill of materials for an image, as CycloneDX defines it: which packages are in it, by their own records.

The same layers give the same bytes: the serial number is made from the diff_ids, and there is no time in it.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recast_dm import store
from recast_dm.capsule.gates.layers import shown
from recast_dm.capsule.gates.packages import Package
from recast_dm.model import Image

if TYPE_CHECKING:
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

_SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sbom.recast-dm.org")
_VENDORS = {"rhel": "redhat", "ol": "oracle"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Materials:
    """What is known of an image's final state: packages with the paths of their records, and what was not read."""

    packages: tuple[tuple[Package, str], ...]
    unread: Mapping[str, str]
    release: Mapping[str, str]


def document(image: Image, materials: Materials) -> bytes:
    """The bill of materials as JSON, CycloneDX 1.6."""
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    root = Component(
        type=ComponentType.CONTAINER,
        name=image.reference.rpartition(":")[0] or image.reference,
        version=image.reference.rpartition(":")[2] if ":" in image.reference else None,
        bom_ref="image",
        properties=[
            *(Property(name=f"recast-dm:diff_id:{n:03d}", value=each) for n, each in enumerate(image.diff_ids)),
            Property(name="recast-dm:platform", value=image.platform),
            *(
                Property(name="recast-dm:not-read", value=f"/{shown(path)}: {why}")
                for path, why in sorted(materials.unread.items())
            ),
        ],
    )
    bom = Bom(
        components=_components(materials),
        serial_number=uuid.uuid5(_SPACE, "\n".join((image.reference, *image.diff_ids))),
    )
    bom.metadata.component = root
    bom.register_dependency(root, bom.components)  # without it the library warns that the graph is not complete
    written = json.loads(JsonV1Dot6(bom).output_as_string())
    written.pop("dependencies", None)  # the records say what is there, not what needs what
    written["metadata"].pop("timestamp", None)
    return store.pretty(written)


def _components(materials: Materials) -> Iterable[Component]:
    return [_component(package, path, materials.release) for package, path in sorted(set(materials.packages))]


def _component(package: Package, path: str, release: Mapping[str, str]) -> Component:
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType

    url = purl(package, release)
    return Component(
        type=ComponentType.LIBRARY,
        name=shown(package.name),
        version=shown(package.version),
        purl=url,
        bom_ref=f"{url.to_string()}#{shown(path)}",
        licenses=_licences(package.licences),
        properties=[Property(name="recast-dm:record", value=f"/{shown(path)}")],
    )


def purl(package: Package, release: Mapping[str, str]) -> PackageURL:
    """The package's URL.

    >>> bash = Package("deb", "bash", "5.2.15-2+b2", (("arch", "amd64"),))
    >>> purl(bash, {"ID": "debian", "VERSION_ID": "12"}).to_string()
    'pkg:deb/debian/bash@5.2.15-2%2Bb2?arch=amd64&distro=debian-12'
    >>> purl(Package("pypi", "Pygments_X", "2.0"), {}).to_string()
    'pkg:pypi/pygments-x@2.0'
    """
    from packageurl import PackageURL

    details = dict(package.details)
    name, space = shown(package.name), None
    if package.system in ("deb", "rpm"):
        vendor = release.get("ID") or ("debian" if package.system == "deb" else None)
        space = shown(_VENDORS.get(vendor or "", vendor or "")) or None
        if vendor and release.get("VERSION_ID"):
            details["distro"] = f"{vendor}-{release['VERSION_ID']}"
    elif package.system == "pypi":
        name = re.sub(r"[-_.]+", "-", name).lower()
    qualifiers = {key: shown(value) for key, value in details.items()}
    return PackageURL(package.system, space, name, shown(package.version) or None, qualifiers)


def _licences(texts: tuple[str, ...]) -> list[Any]:
    """Licences as SPDX names where they are, else as the texts they are; an expression stands alone."""
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.license import LicenseExpression

    factory = LicenseFactory()
    found = [factory.make_from_string(shown(text)) for text in texts if text.strip()]
    expressions = [each for each in found if isinstance(each, LicenseExpression)]
    return expressions[:1] or found
