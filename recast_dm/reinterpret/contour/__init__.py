"""The mu = 1 line of a search in a plane of two parameters, with few points: where to look next is learned."""

from recast_dm.reinterpret.contour.search import Target, contour, plane_of

__all__ = ["Target", "contour", "plane_of"]
