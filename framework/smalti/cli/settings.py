"""The parameters of one run: who may be set, what was set, and the objects made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from smalti.cli.command import Choice, Stage
from smalti.discovery import Registry
from smalti.errors import UsageError
from smalti.options import Option, build, describe, suggest

__all__ = ["Schema", "Scope", "Settings", "gather"]


@dataclass(frozen=True, slots=True)
class Scope:
    """Options that share a first name: those of a step, or those of a component.

    Attributes
    ----------
    name : str
        ``refine``, ``tukey``.
    title : str
        What it is, in words.
    options : tuple of Option
    cls : type or None
        The dataclass that the values make; for a step without the choices.
    """

    name: str
    title: str
    options: tuple[Option, ...]
    cls: type[Any] | None


@dataclass(frozen=True)
class Schema:
    """Everything that can be set in a command, from its stages and from what is installed."""

    stages: tuple[Stage, ...]
    registry: Registry

    @cached_property
    def scopes(self) -> dict[str, Scope]:
        """The scopes by name: the stages first, then the components that may take part."""
        found = {stage.name: self._stage_scope(stage) for stage in self.stages}
        for role in self.roles:
            for component in self.registry.role(role):
                # Two roles may use one name; the second is then reached by its role.
                name = component.name if component.name not in found else f"{role}:{component.name}"
                title = f"{role.replace('_', ' ')} of the plugin '{component.plugin}'"
                found[name] = Scope(name, title, describe(component.cls), component.cls)
        return found

    def _stage_scope(self, stage: Stage) -> Scope:
        choices = tuple(self._choice(choice) for choice in stage.choices)
        own = describe(stage.options) if stage.options else ()
        return Scope(stage.name, f"options of smalti {stage.name}", choices + own, stage.options)

    def _choice(self, choice: Choice) -> Option:
        known = ", ".join(component.name for component in self.registry.role(choice.role))
        return Option(choice.key, "name", choice.default, f"{choice.help} One of: {known}.", "", {})

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that take part, each once."""
        chosen = (choice.role for stage in self.stages for choice in stage.choices)
        whole = (role for stage in self.stages for role in stage.roles)
        return tuple(dict.fromkeys((*chosen, *whole)))

    @cached_property
    def choices(self) -> dict[str, Choice]:
        """The choices of components, by key."""
        return {choice.key: choice for stage in self.stages for choice in stage.choices}

    def options(self, scope: str) -> dict[str, Option]:
        """The options of a scope by name; for the key of a choice, those of all its components."""
        if scope in self.scopes:
            return {option.name: option for option in self.scopes[scope].options}
        components = self.registry.role(self.choices[scope].role)
        return {option.name: option for c in reversed(components) for option in describe(c.cls)}

    def names(self) -> Iterator[tuple[str, str]]:
        """Every (scope, option) that can be set."""
        for scope in (*self.scopes, *self.choices):
            for option in self.options(scope):
                yield scope, option

    def resolve(self, word: str) -> tuple[str, str]:
        """Find the parameter that a word means: exact, without its scope, or a unique beginning.

        Raises
        ------
        UsageError
            There is none, or there are several.
        """
        scope, _, option = word.rpartition(".")
        option = option.replace("-", "_")
        for matches in (str.__eq__, str.startswith):
            scopes = [s for s in (*self.scopes, *self.choices) if _same(s, scope, matches)]
            found = [(s, o) for s in scopes or () for o in self.options(s) if matches(o, option)]
            if scope == "" and len(found) > 1:
                # The key of a choice only repeats the options of its components.
                found = [pair for pair in found if pair[0] in self.scopes] or found
            if len(found) == 1:
                return found[0]
            if len(found) > 1:
                several = ", ".join(".".join(pair) for pair in found)
                raise UsageError(
                    f"'{word}' could be any of {len(found)} parameters.",
                    f"They are: {several}.",
                    f"Write it in full, for example {found[0][0]}.{found[0][1]}=VALUE.",
                )
        raise self._unknown(word)

    def _unknown(self, word: str) -> UsageError:
        known = [".".join(pair) for pair in self.names()]
        tails = {option: scope for scope, option in self.names()}
        hint = suggest(word, known)
        if not hint.startswith("Did") and suggest(word, list(tails)).startswith("Did"):
            hint = suggest(word, list(tails))
        if not hint.startswith("Did"):
            hint = f"Search them all with: smalti params search {word.rpartition('.')[2]}"
        return UsageError(f"There is no parameter '{word}'.", f"Scopes: {', '.join(self.scopes)}.", hint)


def _same(name: str, word: str, matches: Any) -> bool:
    return word == "" or matches(name.replace("_", "-"), word.replace("_", "-"))


@dataclass(frozen=True)
class Settings:
    """The values given for one run.

    Attributes
    ----------
    schema : Schema
    values : Mapping
        Scope to option to value, as given; what is not here has its default.
    """

    schema: Schema
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def registry(self) -> Registry:
        """The plugins and their components."""
        return self.schema.registry

    def given(self, scope: str) -> dict[str, Any]:
        """The values given for a scope."""
        return dict(self.values.get(scope, {}))

    def with_value(self, scope: str, option: str, value: Any) -> Settings:
        """Give settings with one more value."""
        return replace(self, values={**self.values, scope: {**self.given(scope), option: value}})

    def narrowed(self, stage: Stage) -> Settings:
        """Give the settings of one stage alone, as its own command would have them."""
        schema = Schema((stage,), self.registry)
        kept = {s: v for s, v in self.values.items() if s in schema.scopes or s in schema.choices}
        return Settings(schema, kept)

    def options(self, stage: Stage) -> Any:
        """Make the options of a step."""
        if stage.options is None:
            raise TypeError(f"the stage {stage.name} has no options of its own")
        keys = {choice.key for choice in stage.choices}
        values = {key: value for key, value in self.given(stage.name).items() if key not in keys}
        return build(stage.options, values, name=stage.name)

    def chosen(self, stage: Stage, key: str) -> str:
        """Give the name of the component chosen."""
        choice = next(choice for choice in stage.choices if choice.key == key)
        name = str(self.given(stage.name).get(key, choice.default))
        # People write gauss-newton and gauss_newton; both mean the one that there is.
        alike = [c.name for c in self.registry.role(choice.role) if _same(c.name, name, str.__eq__)]
        return alike[0] if len(alike) == 1 and name else name

    def component(self, stage: Stage, key: str) -> Any:
        """Make the component chosen for a stage, with its options."""
        choice = next(choice for choice in stage.choices if choice.key == key)
        return self._make(choice.role, self.chosen(stage, key), key)

    def components(self, role: str) -> tuple[Any, ...]:
        """Make every component of a role (all readers), with their options."""
        return tuple(self._make(role, component.name) for component in self.registry.role(role))

    def _make(self, role: str, name: str, key: str = "") -> Any:
        cls = self.registry.find(role, name).cls
        qualified = f"{role}:{name}"
        scope = qualified if qualified in self.schema.scopes else name
        return build(cls, {**self.given(scope), **self.given(key)}, name=name)

    def check(self) -> None:
        """Make everything once, so that a bad value is reported before any work.

        Raises
        ------
        UsageError
        """
        for stage in self.schema.stages:
            if stage.options is not None:
                self.options(stage)
            for choice in stage.choices:
                self.component(stage, choice.key)
        for scope in self.values:
            cls = self.schema.scopes[scope].cls if scope in self.schema.scopes else None
            if cls is not None and scope not in {stage.name for stage in self.schema.stages}:
                build(cls, self.given(scope), name=scope)

    def used(self) -> dict[str, dict[str, Any]]:
        """All parameters that take effect: those of the stages and of the components chosen."""
        table: dict[str, dict[str, Any]] = {}
        for stage in self.schema.stages:
            row: dict[str, Any] = {choice.key: self.chosen(stage, choice.key) for choice in stage.choices}
            if stage.options is not None:
                row.update(_values(self.options(stage)))
            table[stage.name] = row
            made = [(self.chosen(stage, c.key), self.component(stage, c.key)) for c in stage.choices]
            made += [(c.name, c) for role in stage.roles for c in self.components(role)]
            table.update({name: values for name, component in made if (values := _values(component))})
        return table

    def changed(self) -> dict[str, dict[str, Any]]:
        """Those of :meth:`used` that differ from their defaults."""
        table: dict[str, dict[str, Any]] = {}
        for scope, values in self.used().items():
            defaults = {option.name: option.default for option in self.schema.scopes[scope].options}
            row = {key: value for key, value in values.items() if value != defaults.get(key)}
            if row:
                table[scope] = row
        return table

    def idle(self) -> tuple[str, ...]:
        """Parameters that were given but take no effect, because their component is not in use."""
        used = {*self.used(), *self.schema.choices}
        return tuple(
            f"{scope}.{key}" for scope, row in self.values.items() if scope not in used for key in row
        )


def _values(component: Any) -> dict[str, Any]:
    return {item.name: getattr(component, item.name) for item in dataclasses.fields(component)}


def gather(schema: Schema, assignments: Sequence[tuple[str, Any]]) -> Settings:
    """Collect values from (word, value) pairs; later ones win."""
    values: dict[str, dict[str, Any]] = {}
    for word, value in assignments:
        scope, option = schema.resolve(word)
        values.setdefault(scope, {})[option] = value
    return Settings(schema, values)
