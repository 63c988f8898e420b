"""The ATLAS monojet search (139 fb-1, arXiv:2102.10874), preserved: events, selection, likelihood, limit.

One module per stage of the workflow, in the order in which they run: `generate`, `selection` (with
`detector`), `histogram`, `workspace`, `patch`, `limit`. `python3 -m monojet STAGE --help` describes each.
Energies, momenta and masses are in GeV, cross-sections in pb, luminosities in inverse fb.
"""

__version__ = "1.0"
