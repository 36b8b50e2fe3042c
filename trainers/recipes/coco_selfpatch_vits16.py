"""COCO-Stuff-27 with SelfPatch ViT-S/16 (Table 9).

    python -m trainers.train coco_selfpatch_vits16 --data COCOSTUFF --out runs/coco_selfpatch_vits16

Name the backbone's file, as its authors publish it, on the command line:
--set backbone=selfpatch_vits16.pth.

Expected time: not measured by us; 19,385 steps of 64 crops.
Expected score: U-Acc 57.8, U-mIoU 23.7, in the paper.
"""

from dataclasses import replace

from trainers.recipes.coco_vits16 import CONFIG as BASE

CONFIG = replace(BASE, backbone="selfpatch_vits16.pth")
