"""Label maps for other programs: PNG, overlays and COCO-style JSON in a ZIP."""
