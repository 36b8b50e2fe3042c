"""CamVid.

    python -m trainers.train camvid --data CAMVID --out runs/camvid
"""

from trainers.config import Config

CONFIG = Config(
    dataset="camvid",
    backbone="embedded",
    size=320,
    eval_size=320,
    phi0=0.7,
    psi0=0.3,
    sigma_pos=3,
    sigma_amb=4,
    steps=2,
    anchors=0.125,
    batch=10,
    epochs=4,
    probe_epochs=4,
    cluster_start="merged",
    cluster_lr=0,
    linear_lr=1e-2,
)
