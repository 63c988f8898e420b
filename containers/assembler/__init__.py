"""Images without a container engine: the recipe beside each image becomes layers, the same bytes on every machine."""
