"""COCO-Stuff-27 with DINO ViT-S/16, TPS alone (Table 5).

    python -m trainers.train coco_vits16_tps --data COCOSTUFF --out runs/coco_vits16_tps

Expected time: not measured by us; 19,385 steps of 64 crops.
Expected score: U-Acc 53.7, U-mIoU 25.0, in the paper.
"""

from dataclasses import replace

from trainers.recipes.coco_vits16 import CONFIG as BASE

CONFIG = replace(BASE, rule="tps")
