"""Aerial photographs of Dubai (72 images, 5 classes), on a CPU with the embedded backbone.

    python -m trainers.train dubai --data DUBAI --out runs/dubai

The data set is *Semantic segmentation of aerial imagery* (Humans in the Loop) as a folder with
images/, labels/ and classes.txt.

Expected time: 3 to 6 minutes with its report and CRF, on two CPU cores shared with other programs.
Expected score: U-Acc 50.2 ± 2.7, U-mIoU 34.4 ± 2.3, L-Acc 79.3 ± 1.0, L-mIoU 57.5 ± 1.5 over three
seeds; with CRF 51.8 ± 3.9, 36.0 ± 3.2, 80.8 ± 1.2, 56.7 ± 1.8.
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
    probe_epochs=10,  # after one, of 29 steps, the cluster probe has not settled
    linear_lr=2e-2,
)
