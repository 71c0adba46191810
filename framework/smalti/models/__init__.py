"""Frozen models of an experiment: beam, detector, goniometer, scan, crystal."""

from smalti.models.beam import Beam
from smalti.models.crystal import Crystal, cell_of_axes
from smalti.models.detector import NO_COUNT, Detector, Group, Node, Panel
from smalti.models.experiment import Experiment, Experiments, ImageSet
from smalti.models.frames import IDENTITY, Matrix, Vector, as_array, matrix, vector
from smalti.models.goniometer import Goniometer
from smalti.models.layouts import LAYOUTS, ModuleLayout, layout_of, modular, single
from smalti.models.scan import Scan
from smalti.models.tolerances import Tolerances, tolerances

__all__ = [
    "IDENTITY",
    "LAYOUTS",
    "NO_COUNT",
    "Beam",
    "Crystal",
    "Detector",
    "Experiment",
    "Experiments",
    "Goniometer",
    "Group",
    "ImageSet",
    "Matrix",
    "ModuleLayout",
    "Node",
    "Panel",
    "Scan",
    "Tolerances",
    "Vector",
    "as_array",
    "cell_of_axes",
    "layout_of",
    "matrix",
    "modular",
    "single",
    "tolerances",
    "vector",
]
