"""The Segment page: one's own images, their segments, and the ZIP to take away."""
