"""Make a data set whose truth is known: images, or tables of spots, and the truth beside them."""

from smalti.steps.simulating.options import FULL_DEMO, QUICK_DEMO, SimulateOptions
from smalti.steps.simulating.simulator import Simulated, simulate
from smalti.steps.simulating.still_files import SimulatedStills, simulate_stills

__all__ = [
    "FULL_DEMO",
    "QUICK_DEMO",
    "SimulateOptions",
    "Simulated",
    "SimulatedStills",
    "simulate",
    "simulate_stills",
]
