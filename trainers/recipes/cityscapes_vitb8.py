"""Cityscapes-27 with DINO ViT-B/8 (Table 2).

    python -m trainers.train cityscapes_vitb8 --data CITYSCAPES --out runs/cityscapes_vitb8

Expected time: not measured by us; 6,960 steps of 64 crops.
Expected score: U-Acc 83.3, U-mIoU 21.2, L-Acc 91.4, L-mIoU 36.5 with CRF, in the paper.
"""

from trainers.config import Config

CONFIG = Config(
    dataset="cityscapes27",
    backbone="dino_vitb8",
    phi0=0.6,
    psi0=0.2,
    sigma_pos=3,
    sigma_amb=2,
    steps=3,
    temperature=0.1,
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
