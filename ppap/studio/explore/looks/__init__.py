"""Overlay styles as exports draw them, a module each: the mirror of explore/styles in assets."""
