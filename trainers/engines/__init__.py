"""How the processes of one run are started: several at once through PyTorch's own torchrun."""
