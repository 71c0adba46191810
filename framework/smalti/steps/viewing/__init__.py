"""Look at images: what the viewer shows, as arrays and plain data; and the page that shows it."""

from smalti.steps.viewing.gallery import Gallery, Roll, open_gallery
from smalti.steps.viewing.options import ViewOptions
from smalti.steps.viewing.picture import render
from smalti.steps.viewing.scene import Scene
from smalti.steps.viewing.session import Session

__all__ = ["Gallery", "Roll", "Scene", "Session", "ViewOptions", "open_gallery", "render"]
