"""What other tools show of a run: TensorBoard, Weights & Biases, trackio.

``metrics.jsonl`` is what happened; these are told of it. None of them can hold up a run or end it,
and none reaches for a network unless it was asked to.
"""
