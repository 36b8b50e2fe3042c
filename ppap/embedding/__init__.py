"""The map of patches: its layout, the process that makes it, and the service that pages ask."""
