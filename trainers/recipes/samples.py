"""The six sample photos: a small checkpoint in a few minutes, without any data set.

python -m trainers.train samples --out runs/samples

Expected time: not measured alone; 90 steps of 10 crops, some minutes on two CPU cores.
Expected score: not measured; it is evaluated on the photos it was trained on.
"""

from dataclasses import replace

from trainers.recipes.camvid import CONFIG as BASE

CONFIG = replace(
    BASE,
    dataset="samples",
    train_split="all",
    eval_split="all",
    crops="five",
    batch=10,
    epochs=20,
    probe_epochs=10,
    crf=False,
)
