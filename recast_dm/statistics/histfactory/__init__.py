"""Full HistFactory likelihoods: any workspace and any signal patch, with analytic first and second derivatives.

The background's samples are read once, and its own best fit, from which every signal's fits begin, is made once. (The
Asimov set itself is each signal's own: a signal's MC errors enter the `staterror` constraints that it shares with the
background.) Interpolation is pyhf's default, codes 4 and 4p. Only mu is bounded otherwise than in pyhf: mu >= 0, and
no upper bound.
"""

from recast_dm.statistics.histfactory.likelihood import HistFactory, bind

__all__ = ["HistFactory", "bind"]
