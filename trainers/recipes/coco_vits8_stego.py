"""COCO-Stuff-27 with DINO ViT-S/8 and STEGO's loss (Table 1, "STEGO").

    python -m trainers.train coco_vits8_stego --data COCOSTUFF --out runs/coco_vits8_stego

Expected time: not measured by us; 5,000 steps of 16 crops and as many near images.
Expected score: U-Acc 48.3, U-mIoU 24.5, L-Acc 74.4, L-mIoU 38.3 with CRF in the paper.
"""

from dataclasses import replace

from trainers.recipes.coco_vits8 import CONFIG as BASE

CONFIG = replace(
    BASE,
    rule="stego",
    optimizer="adam",
    lr=5e-4,
    weight_decay=0,
    batch=16,
    epochs=1,
    max_steps=5000,
)
