"""Files: experiment lists, reflection tables, history."""

from smalti.storage.atomic import atomic_path, refuse_overwriting, write_whole
from smalti.storage.experiments import read_experiments, write_experiments
from smalti.storage.history import hash_file, make_record, merge, read_history
from smalti.storage.json_files import write_json
from smalti.storage.reflections import read_reflections, write_reflections

__all__ = [
    "atomic_path",
    "hash_file",
    "make_record",
    "merge",
    "read_experiments",
    "read_history",
    "read_reflections",
    "refuse_overwriting",
    "write_experiments",
    "write_json",
    "write_reflections",
    "write_whole",
]
