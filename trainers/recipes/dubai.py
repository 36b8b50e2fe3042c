"""Aerial photographs of Dubai (72 images, 5 classes), on a CPU with the embedded backbone.

    python -m trainers.train dubai --data DUBAI --out runs/dubai

The data set is *Semantic segmentation of aerial imagery* (Humans in the Loop) as a folder with
images/, labels/ and classes.txt.

Expected time: 3 to 6 minutes with its report and CRF, beside other programs on two CPU cores.
Expected score: U-Acc 44.5 ± 4.4, U-mIoU 27.1 ± 5.5, L-Acc 74.7 ± 1.3, L-mIoU 48.1 ± 2.4 over three
seeds; with CRF 45.9 ± 5.5, 28.5 ± 7.4, 76.0 ± 1.7, 47.3 ± 3.1.
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
