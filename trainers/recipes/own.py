"""Your own images: any folder of pictures, with label maps or without, on a CPU.

    python -m trainers.train own --data FOLDER --out runs/own

What kind of data set the folder holds is found out. Pictures alone are enough: then there are as
many clusters as `unnamed_classes` says, no report with scores, and no linear probe, which learns
from labels. With label maps (images/, labels/ and classes.txt, see docs/data.md) the classes are
the clusters, and the report scores them.

Φ⁰ and Ψ⁰ are those for photographs. In the studio, Suggest works them out for your images.

Expected time: as of the recipe photos, by the number of images.
Expected score: it depends on the images; photos has scores of 296 labelled photographs.
"""

from dataclasses import replace

from trainers.recipes.photos import CONFIG as BASE

CONFIG = replace(BASE, dataset="", crf=False)
