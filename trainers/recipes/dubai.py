"""Aerial photographs of Dubai (72 images, 5 classes), on a CPU with the embedded backbone.

    python -m trainers.train dubai --data DUBAI --out runs/dubai

The data set is *Semantic segmentation of aerial imagery* (Humans in the Loop) as a folder with
images/, labels/ and classes.txt.

Expected time: 3 to 6 minutes with its report and CRF, beside other programs on two CPU cores.
Expected score: U-Acc 41.4, U-mIoU 25.0, L-Acc 76.0, L-mIoU 49.8 with seed 0; with CRF
43.4, 25.6, 77.1, 48.7.
The set is small: seeds differ by five points (README).
"""

from dataclasses import replace

from trainers.recipes.camvid import CONFIG as BASE

# At 640 pixels whole images have the scale of the crops at 320.
CONFIG = replace(
    BASE,
    dataset="folder",
    crops="five",
    eval_size=640,
    phi0=0.7,
    epochs=2,
    probe_epochs=1,
    linear_lr=2e-2,
)
