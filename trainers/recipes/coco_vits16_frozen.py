"""COCO-Stuff-27 with the frozen DINO ViT-S/16: only the probes are trained (Table 1, "DINO").

    python -m trainers.train coco_vits16_frozen --data COCOSTUFF --out runs/coco_vits16_frozen

Expected time: not measured by us; 19,385 steps of 64 crops.
Expected score: U-Acc 22.0, U-mIoU 8.0, L-Acc 50.3, L-mIoU 18.1
in the paper, which took them from earlier work.
"""

from dataclasses import replace

from trainers.recipes.coco_vits16 import CONFIG as BASE

CONFIG = replace(BASE, rule="frozen", epochs=0, probe_epochs=5)
