"""Files: experiment lists, reflection tables, covariances, history."""

from smalti.storage.atomic import atomic_path, refuse_overwriting, write_whole
from smalti.storage.covariances import (
    COVARIANCE_SUFFIX,
    Covariances,
    read_covariances,
    write_covariances,
)
from smalti.storage.experiments import read_experiments, write_experiments
from smalti.storage.history import describe_history, read_history
from smalti.storage.json_files import write_json
from smalti.storage.nxmx import NxmxLayout, write_nxmx
from smalti.storage.records import hash_file, make_record, merge
from smalti.storage.reflections import read_reflections, write_reflections

__all__ = [
    "COVARIANCE_SUFFIX",
    "Covariances",
    "NxmxLayout",
    "atomic_path",
    "describe_history",
    "hash_file",
    "make_record",
    "merge",
    "read_covariances",
    "read_experiments",
    "read_history",
    "read_reflections",
    "refuse_overwriting",
    "write_covariances",
    "write_experiments",
    "write_json",
    "write_nxmx",
    "write_reflections",
    "write_whole",
]
