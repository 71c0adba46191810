"""The viewer as a page on this machine: an HTTP server of the standard library and what it answers."""

from smalti.steps.viewing.serving.server import Viewer, address_of, tunnel_of

__all__ = ["Viewer", "address_of", "tunnel_of"]
