"""Limits of a collider in the planes of direct and indirect detection: `mapping` (pure), and the drawing of it."""
