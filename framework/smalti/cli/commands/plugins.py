"""``smalti plugins``: what is installed, and whether it keeps its contract."""

from __future__ import annotations

from typing import Any

from smalti.cli.command import Command, Outcome, Request, Switch
from smalti.discovery import Plugin, Registry
from smalti.errors import PluginError
from smalti.testing.contracts import Verdict, check
from smalti.text import plural, table

__all__ = ["COMMAND"]


def run(request: Request) -> Outcome:
    """List the plugins; with ``--check`` judge their components."""
    registry = request.settings.registry
    verdicts: tuple[Verdict, ...] = ()
    if request.switch("check"):
        verdicts = _judge(request, registry)
    failed = [verdict for verdict in verdicts if verdict.problem]
    status = PluginError.exit_status if registry.broken or failed else 0
    return Outcome(_summary(registry, verdicts), _text(registry, verdicts), status=status)


def _judge(request: Request, registry: Registry) -> tuple[Verdict, ...]:
    found: list[Verdict] = []
    for number, component in enumerate(registry.components):
        request.progress("checking components", number, len(registry.components))
        found += check(component.role, component.cls)
    return tuple(found)


def _state(plugin: Plugin) -> str:
    if plugin.disabled:
        return "left out"
    return "broken" if plugin.problem else "good"


def _brings(registry: Registry, plugin: Plugin) -> str:
    return ", ".join(
        f"{c.role.replace('_', ' ')} {c.name}" for c in registry.components if c.plugin == plugin.name
    )


def _text(registry: Registry, verdicts: tuple[Verdict, ...]) -> str:
    rows = [
        (p.name, p.distribution, p.version, _state(p), _brings(registry, p)) for p in registry.plugins
    ]  # fmt: skip
    parts = [table(("plugin", "distribution", "version", "state", "brings"), rows)]
    parts += [f"{p.name} ({p.distribution} {p.version}) is broken: {p.problem}" for p in registry.broken]
    if verdicts:
        parts.append(_checked(verdicts))
    return "\n\n".join(parts)


def _checked(verdicts: tuple[Verdict, ...]) -> str:
    failed = [verdict for verdict in verdicts if verdict.problem]
    if not failed:
        components = len({(verdict.role, verdict.component) for verdict in verdicts})
        return f"{plural(components, 'component')} kept the contract in {plural(len(verdicts), 'check')}."
    lines = [f"{v.role.replace('_', ' ')} {v.component}: {v.check}: {v.problem}" for v in failed]
    return "\n".join([f"{plural(len(failed), 'check')} of {len(verdicts)} failed:", *lines])


def _summary(registry: Registry, verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    return {
        "plugins": [
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "state": _state(plugin),
                "hooks": plugin.hooks,
                "problem": plugin.problem,
                "components": [
                    {"role": c.role, "name": c.name} for c in registry.components if c.plugin == plugin.name
                ],
            }
            for plugin in registry.plugins
        ],
        "checks": [
            {"role": v.role, "component": v.component, "check": v.check, "problem": v.problem}
            for v in verdicts
        ],
    }


COMMAND = Command(
    "plugins",
    run,
    usage="",
    details=(
        "A plugin brings components: readers of images, spot finders, indexers, detector "
        "parameterisations, minimisers, outlier rejectors and sections of the report. A broken plugin is "
        "listed with what is wrong and what to do; the others keep working. With --check every component is "
        "tried on standard problems of its role. The exit status is 5 when something is broken. "
        "SMALTI_DISABLE=name,name leaves plugins out for good."
    ),
    example="smalti plugins --check",
    switches=(Switch("--check", "Try every component on the standard problems of its role."),),
)
