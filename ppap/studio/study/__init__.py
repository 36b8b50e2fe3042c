"""The Study page: studies of sets, and ablations, which train."""
