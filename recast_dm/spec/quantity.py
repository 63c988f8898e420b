"""Numbers with a unit, as Kubernetes and REANA write them."""

from __future__ import annotations

import re

_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(m|[kKMGTP]i?)?")
_UNITS = {"": 1.0, "m": 1e-3} | {
    prefix + binary: (1024.0 if binary else 1000.0) ** power
    for power, prefix in ((1, "k"), (1, "K"), (2, "M"), (3, "G"), (4, "T"), (5, "P"))
    for binary in ("", "i")
}


def quantity(text: object) -> float:
    """A number as Kubernetes writes it. Raises ValueError.

    >>> quantity("2Gi"), quantity("500m"), quantity(4)
    (2147483648.0, 0.5, 4.0)
    """
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(text)
    return float(found[1]) * _UNITS[found[2] or ""]
