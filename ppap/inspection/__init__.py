"""What there is to see in features beside the sets: components, lengths, clusters."""
