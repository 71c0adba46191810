"""Find plugins through entry points, vet them, and say what is wrong with the broken ones."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from smalti import hookspecs
from smalti.errors import PluginError, UsageError
from smalti.options import build, suggest
from smalti.roles import ROLES

__all__ = ["GROUP", "Component", "Plugin", "Registry", "discover"]

GROUP = "smalti.plugins"


@dataclass(frozen=True, slots=True)
class Plugin:
    """One plugin as found: who, from which distribution, what it brings, what is wrong with it."""

    name: str
    distribution: str
    version: str
    hooks: tuple[str, ...] = ()
    problem: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Component:
    """A class that a plugin brought, vetted for its role."""

    role: str
    name: str
    cls: type[Any]
    plugin: str


@dataclass(frozen=True, slots=True)
class Registry:
    """All plugins and the components of the good ones."""

    plugins: tuple[Plugin, ...] = ()
    components: tuple[Component, ...] = ()
    disabled: frozenset[str] = field(default=frozenset())

    @property
    def broken(self) -> tuple[Plugin, ...]:
        """The plugins with a problem."""
        return tuple(plugin for plugin in self.plugins if plugin.problem)

    @property
    def unmatched(self) -> tuple[str, ...]:
        """Names that were to be left out and that no plugin has."""
        return tuple(sorted(self.disabled - {_plain(plugin.name) for plugin in self.plugins}))

    def role(self, role: str) -> tuple[Component, ...]:
        """Give the components of one role, by name."""
        return tuple(sorted((c for c in self.components if c.role == role), key=lambda c: c.name))

    def find(self, role: str, name: str) -> Component:
        """Give a component by role and name.

        Raises
        ------
        UsageError
            No plugin brings it; says what there is and which broken plugin might have brought it.
        """
        known = {component.name: component for component in self.role(role)}
        if name in known:
            return known[name]
        words = role.replace("_", " ")
        broken = [f"{plugin.name} ({plugin.problem})" for plugin in self.broken]
        raise UsageError(
            f"There is no {words} '{name}'.",
            f"Installed: {', '.join(known) or 'none'}."
            + (f" Broken plugins: {'; '.join(broken)}." if broken else ""),
            suggest(
                name,
                list(known),
                "Choose one that is installed; smalti plugins lists them with their plugins.",
            ),
        )

    def make(self, role: str, name: str, options: Mapping[str, Any] | None = None) -> Any:
        """Make a component from its name and option values, validated."""
        return build(self.find(role, name).cls, options or {}, name=name)


def discover(disable: Iterable[str] = ()) -> Registry:
    """Load every plugin of the entry-point group and vet what it brings.

    A broken plugin becomes a line in the registry; the good ones keep working. ``disable`` and the
    environment variable ``SMALTI_DISABLE`` (names with commas) leave plugins out; in their names ``_``
    and ``-`` are the same.
    """
    named = (*os.environ.get("SMALTI_DISABLE", "").split(","), *disable)
    blocked = frozenset(_plain(name) for name in named if name.strip())
    plugins: list[Plugin] = []
    components: list[Component] = []
    taken: dict[str, str] = {}
    for entry in sorted(
        entry_points(group=GROUP), key=lambda e: (not e.value.startswith("smalti_plugins"), e.name)
    ):
        distribution = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else ""
        if _plain(entry.name) in blocked:
            plugins.append(Plugin(entry.name, distribution, version, disabled=True))
            continue
        if entry.name in taken:
            problem = (
                f"the name '{entry.name}' is taken by {taken[entry.name]}; one of the two must be renamed"
            )
            plugins.append(Plugin(entry.name, distribution, version, problem=problem))
            continue
        taken[entry.name] = distribution
        try:
            hooks, brought = _load(entry, components)
        except PluginError as error:
            plugins.append(Plugin(entry.name, distribution, version, problem=str(error).replace("\n", " ")))
            continue
        components.extend(brought)
        plugins.append(Plugin(entry.name, distribution, version, hooks))
    return Registry(tuple(plugins), tuple(components), blocked)


def _plain(name: str) -> str:
    """A name with the one sign that people and packaging tools write in two ways."""
    return name.strip().replace("_", "-")


def _load(entry: EntryPoint, others: list[Component]) -> tuple[tuple[str, ...], list[Component]]:
    """Load one plugin on a manager of its own, so that whatever it does wrong stays its own."""
    try:
        module = entry.load()
    except Exception as error:  # a plugin may fail in any way at import; that must not stop the others
        raise PluginError(f"importing {entry.value} failed: {type(error).__name__}: {error}.") from error
    api = getattr(module, "SMALTI_API", None)
    if api != hookspecs.API:
        raise PluginError(
            f"it declares SMALTI_API = {api!r}, this smalti needs {hookspecs.API}.",
            fix="Install a version of the plugin made for this version of smalti.",
        )
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(module, name=entry.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"{str(error).splitlines()[-1]}.", fix=f"The hooks are: {', '.join(hookspecs.HOOKS)}."
        ) from error
    hooks = tuple(hook for hook in hookspecs.HOOKS if getattr(manager.hook, hook).get_hookimpls())
    if not hooks:
        raise PluginError("it implements no hook.", fix=f"The hooks are: {', '.join(hookspecs.HOOKS)}.")
    brought: list[Component] = []
    for hook in hooks:
        try:
            classes = [cls for classes in getattr(manager.hook, hook)() for cls in classes]
        except Exception as error:  # the hook is the plugin's code
            raise PluginError(f"its hook {hook} raised {type(error).__name__}: {error}.") from error
        brought.extend(_vet(hookspecs.HOOKS[hook], cls, entry.name, [*others, *brought]) for cls in classes)
    return hooks, brought


def _vet(role: str, cls: type[Any], plugin: str, others: list[Component]) -> Component:
    """Check that a class keeps the form of a component of its role."""
    label = getattr(cls, "__name__", repr(cls))
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError(f"{label} has no name (a ClassVar[str]).")
    if not dataclasses.is_dataclass(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise PluginError(f"{label} is not a frozen dataclass.")
    try:
        instance = cls()
    except Exception as error:  # the class is the plugin's code
        raise PluginError(
            f"{label}() raised {type(error).__name__}: {error}; every option needs a default."
        ) from error
    if not isinstance(instance, ROLES[role]):
        wanted = [m for m in dir(ROLES[role]) if not m.startswith("_") and not hasattr(instance, m)]
        raise PluginError(f"{label} lacks {', '.join(wanted)} of the role {role}.")
    for other in others:
        if other.role == role and other.name == name:
            raise PluginError(f"the {role} name '{name}' is already brought by the plugin '{other.plugin}'.")
    return Component(role, name, cls, plugin)
