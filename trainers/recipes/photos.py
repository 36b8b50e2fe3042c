"""A folder of natural photographs, on a CPU with the embedded backbone.

    python -m trainers.train photos --data PHOTOS --out runs/photos

PHOTOS contains images/ and, for scores, labels/ and classes.txt, as docs/data.md describes.
Measured on half of MSRC-v2: 296 photographs of 320 × 213 pixels, 23 classes, one in five of them
for the evaluation.

Expected time: 1 to 2 minutes with its report and CRF, on two CPU cores shared with other programs.
Expected score: U-Acc 60.4 ± 2.1, U-mIoU 38.0 ± 1.8, L-Acc 88.4 ± 0.1, L-mIoU 69.4 ± 1.8 over three
seeds; with CRF 61.6 ± 2.7, 39.6 ± 1.0, 89.5 ± 0.1, 71.8 ± 0.2.
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
