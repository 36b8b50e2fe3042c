"""The six sample photos: a small checkpoint in a minute or two, without any data set.

python -m trainers.train samples --out runs/samples

Expected time: under a minute with its report, on two idle CPU cores.
Expected score: U-Acc 74.6 ± 5.2, U-mIoU 55.1 ± 6.6, L-Acc 93.4 ± 0.2, L-mIoU 75.2 ± 1.4 over three
seeds; on the photos it was trained on.
"""

from dataclasses import replace

from trainers.recipes.camvid import CONFIG as BASE

CONFIG = replace(
    BASE,
    dataset="samples",
    train_split="all",
    eval_split="all",
    crops="five",
    temperature=0.8,
    batch=10,
    epochs=20,
    probe_epochs=10,
    crf=False,
)
