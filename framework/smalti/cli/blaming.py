"""Tell a mistake of a plugin from one of ours, by where in the code it happened."""

from __future__ import annotations

import traceback
from types import FrameType

from smalti.discovery import Component, Plugin, Registry, discover
from smalti.errors import PluginError

__all__ = ["blame"]


def blame(error: BaseException, registry: Registry | None = None) -> PluginError | None:
    """Put an exception that a third party's component let out into words; None for what is ours.

    The innermost frame decides that belongs to smalti or to a plugin: a library that either of them calls
    has no say. Components that come with smalti are as much ours as the rest.

    Parameters
    ----------
    error : BaseException
        With its traceback.
    registry : Registry, optional
        The plugins; looked up again by default.
    """
    registry = registry or discover()
    plugins = {plugin.name: plugin for plugin in registry.plugins}
    packages = {_package(component.cls.__module__): component for component in registry.components}
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inner = next((f for f in reversed(frames) if _of(f) in {"smalti", *packages}), None)
    if inner is None or _of(inner) not in packages:
        return None
    component = _acting(frames, registry) or packages[_of(inner)]
    plugin = plugins[component.plugin]
    return None if plugin.distribution == "smalti" else _told(error, component, plugin, inner)


def _package(module: str) -> str:
    return module.partition(".")[0]


def _of(frame: FrameType) -> str:
    return _package(str(frame.f_globals.get("__name__", "")))


def _acting(frames: list[FrameType], registry: Registry) -> Component | None:
    """Give the component whose method was running, the innermost first."""
    classes = {component.cls: component for component in registry.components}
    for frame in reversed(frames):
        acting = classes.get(type(frame.f_locals.get("self")))
        if acting is not None:
            return acting
    return None


def _told(error: BaseException, component: Component, plugin: Plugin, frame: FrameType) -> PluginError:
    role = component.role.replace("_", " ")
    what = f"{type(error).__name__}: {error}"
    place = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}"
    return PluginError(
        f"The {role} '{component.name}' of the plugin '{plugin.name}' failed: {what}",
        f"It happened in {place}; the plugin comes from {plugin.distribution} {plugin.version}, not smalti.",
        f"Use another {role}, or report it to the authors of {plugin.distribution} with what --debug shows.",
    )
