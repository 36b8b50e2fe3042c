"""How far sets can be trusted on one's own data: rules compared, settings swept, advice given."""

from ppap.study.advice import Advice, advise
from ppap.study.comparison import RuleTrust, compare
from ppap.study.grid import Axis, Grid
from ppap.study.patches import Patches
from ppap.study.sweeping import Measured, sweep

__all__ = [
    "Advice",
    "Axis",
    "Grid",
    "Measured",
    "Patches",
    "RuleTrust",
    "advise",
    "compare",
    "sweep",
]
