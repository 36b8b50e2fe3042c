"""ImageNet-S-50 with DINO ViT-S/16 (Table 4): COCO-Stuff's settings.

    python -m trainers.train imagenet_s50_vits16 --data IMAGENETS50 --out runs/imagenet_s50_vits16

Expected time: not measured by us; 5 epochs over the training images in batches of 64.
Expected score: mIoU 59.3 by distance matching, in the paper.
"""

from dataclasses import replace

from trainers.recipes.coco_vits16 import CONFIG as BASE

CONFIG = replace(BASE, dataset="imagenet_s", eval_split="validation", crops="none", crf=False)
