"""Your own images: any folder of images, with or without label maps, on a CPU.

    python -m trainers.train own --data FOLDER --out runs/own

The kind of data set is detected from the folder. Images alone are enough: `unnamed_classes` then
sets the number of clusters, and there is neither a linear probe nor a report with scores, because
both need labels. With label maps (images/, labels/ and classes.txt, see docs/data.md) there is one
cluster per class, and the report scores them.

While the probes are trained, the run is validated a few times, for curves and predictions.

Φ⁰ and Ψ⁰ are those for photographs. In the studio, Suggest computes them from your images.

Expected time: as for the recipe photos, in proportion to the number of images.
Expected score: depends on the images; the recipe photos has scores for 296 labelled photographs.
"""

from dataclasses import replace

from trainers.recipes.photos import CONFIG as BASE

CONFIG = replace(BASE, dataset="", crf=False, validate_every=5)
