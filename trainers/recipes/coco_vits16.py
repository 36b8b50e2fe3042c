"""COCO-Stuff-27 with DINO ViT-S/16 (Table 1).

    python -m trainers.train coco_vits16 --data COCOSTUFF --out runs/coco_vits16

Expected time: not measured by us; 19,385 steps of 64 crops.
Expected score: U-Acc 62.9, U-mIoU 26.5, L-Acc 76.0, L-mIoU 43.3 with CRF, in the paper.
"""

from trainers.config import Config

CONFIG = Config(
    dataset="cocostuff27",
    backbone="dino_vits16",
    phi0=0.55,
    psi0=0.15,
    sigma_pos=3,
    sigma_amb=4,
    steps=2,
    temperature=0.8,
    anchors=0.25,
    optimizer="adamw",
    lr=0.001,
    weight_decay=0.01,
    cluster_lr=0.001,
    epochs=5,
    crops="five",
    published_scale=True,
    crf=True,
)
