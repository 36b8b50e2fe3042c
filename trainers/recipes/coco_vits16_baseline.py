"""COCO-Stuff-27 with DINO ViT-S/16, neither TPS nor ANS (Table 5).

    python -m trainers.train coco_vits16_baseline --data COCOSTUFF --out runs/coco_vits16_baseline

Expected time: not measured by us; 19,385 steps of 64 crops.
Expected score: U-Acc 49.1, U-mIoU 22.9, in the paper.
"""

from dataclasses import replace

from trainers.recipes.coco_vits16 import CONFIG as BASE

CONFIG = replace(BASE, rule="baseline")
