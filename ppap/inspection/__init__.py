"""What there is to see in the features of a batch beside the sets: components, lengths, clusters."""
