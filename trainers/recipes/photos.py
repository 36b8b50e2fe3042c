"""A folder of natural photographs, on a CPU with the embedded backbone.

    python -m trainers.train photos --data PHOTOS --out runs/photos

PHOTOS holds images/ and, for scores, labels/ and classes.txt, as the README says. Measured on half
of MSRC-v2: 296 photographs of 320 × 213 pixels, 23 classes, one in five for the evaluation.

Expected time: TIME
Expected score: SCORE
"""

from dataclasses import replace

from trainers.recipes.camvid import CONFIG as BASE

# A tenth of CamVid's rate: at 3e-4 every rule made photographs' clusters worse than frozen ones, on
# the training images, too (docs/gain.md).
CONFIG = replace(
    BASE,
    dataset="folder",
    size=224,
    eval_size=224,
    lr=3e-5,
    probe_epochs=10,
)
