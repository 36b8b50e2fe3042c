"""Cityscapes-27 with DINO ViT-S/8 (Table 2).

    python -m trainers.train cityscapes_vits8 --data CITYSCAPES --out runs/cityscapes_vits8

Expected time: not measured by us; 6,960 steps of 64 crops.
Expected score: U-Acc 82.0, U-mIoU 19.6, L-Acc 90.8, L-mIoU 31.5 with CRF, in the paper.
"""

from trainers.config import Config

CONFIG = Config(
    dataset="cityscapes27",
    backbone="dino_vits8",
    phi0=0.6,
    psi0=0.2,
    sigma_pos=3,
    sigma_amb=3,
    steps=3,
    temperature=0.8,
    anchors=0.0625,
    optimizer="adam",
    lr=0.001,
    weight_decay=0,
    cluster_lr=0.001,
    epochs=30,
    crops="five",
    published_scale=True,
    crf=True,
)
