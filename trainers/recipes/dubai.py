"""Aerial photographs of Dubai (72 images, 5 classes), on a CPU with the embedded backbone.

    python -m trainers.train dubai --data DUBAI --out runs/dubai

The data set is *Semantic segmentation of aerial imagery* (Humans in the Loop) as a folder with
images/, labels/ and classes.txt.

Expected time: 1 to 3 minutes without CRF, beside other programs on two CPU cores.
Expected score: U-Acc 42.2 ± 0.8, U-mIoU 24.2 ± 0.6, L-Acc 73.3 ± 0.2, L-mIoU 45.6 ± 2.3 over two
seeds, without CRF.
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
