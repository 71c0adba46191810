"""Between a detector as one panel and as its modules: models and reflections, both ways."""

from smalti.steps.panelling.converting import Converted, convert_panels
from smalti.steps.panelling.models import Division, to_modules, to_single

__all__ = ["Converted", "Division", "convert_panels", "to_modules", "to_single"]
