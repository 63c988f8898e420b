"""The CMS monojet search (137 fb-1, arXiv:2107.13021), preserved: efficiencies or events in, signal in 66 bins out.

`cross_section` and `signal` are the stages of every point; `select` follows the generation of `monojet` (the package
of the ATLAS search, which makes the events) where a point comes with events. `search` holds what the paper fixes.
Energies, momenta and masses are in GeV, cross-sections in pb, luminosities in inverse fb.
"""

__version__ = "1.0"
