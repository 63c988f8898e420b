"""recast-dm: preserve a dark-matter analysis and run it again under a new model."""

__version__ = "0.1.0"
