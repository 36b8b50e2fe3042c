"""COCO-Stuff-27 with DINO ViT-S/16, ANS alone (Table 5).

    python -m trainers.train coco_vits16_ans --data COCOSTUFF --out runs/coco_vits16_ans

Expected time: not measured by us; 19,385 steps of 64 crops.
Expected score: U-Acc 55.5, U-mIoU 25.1, in the paper.
"""

from dataclasses import replace

from trainers.recipes.coco_vits16 import CONFIG as BASE

CONFIG = replace(BASE, rule="ans")
