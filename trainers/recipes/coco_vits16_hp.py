"""COCO-Stuff-27 with DINO ViT-S/16 and the sets of hidden positives (Table 1, "HP").

    python -m trainers.train coco_vits16_hp --data COCOSTUFF --out runs/coco_vits16_hp

Only HP's rule on frozen features, with the rest as in PPAP: its second pool and its locality
loss are not part of it.

Expected time: not measured by us; 19,385 steps of 64 crops.
Expected score: U-Acc 54.5, U-mIoU 24.3, L-Acc 74.1, L-mIoU 39.1
with CRF in the paper, for the whole of HP.
"""

from dataclasses import replace

from trainers.recipes.coco_vits16 import CONFIG as BASE

CONFIG = replace(BASE, rule="hp")
