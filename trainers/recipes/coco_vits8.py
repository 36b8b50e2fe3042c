"""COCO-Stuff-27 with DINO ViT-S/8 (Table 1).

    python -m trainers.train coco_vits8 --data COCOSTUFF --out runs/coco_vits8

Expected time: not measured by us; 19,385 steps of 64 crops.
Expected score: U-Acc 59.0, U-mIoU 27.2, L-Acc 76.9, L-mIoU 46.3 with CRF, in the paper.
"""

from trainers.config import Config

CONFIG = Config(
    dataset="cocostuff27",
    backbone="dino_vits8",
    phi0=0.55,
    psi0=0.2,
    sigma_pos=3,
    sigma_amb=3,
    steps=2,
    temperature=0.8,
    anchors=0.0625,
    optimizer="adamw",
    lr=0.001,
    weight_decay=0.1,
    cluster_lr=0.005,
    epochs=5,
    crops="five",
    published_scale=True,
    crf=True,
)
