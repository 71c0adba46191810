"""Options of components and steps: dataclass fields that know their meaning, unit and range.

A component is a frozen dataclass; each field declared with :func:`option` appears by itself on
the command line, in parameter files and in the reference. Values are validated once, at the edge,
by :func:`build`, which reports every bad value at once.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_type_hints

from smalti.errors import UsageError

__all__ = ["Option", "build", "describe", "option", "suggest"]

T = TypeVar("T")


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    min_length: int | None = None,
) -> Any:
    """Declare one option: a dataclass field with its meaning, its unit and its range.

    Parameters
    ----------
    default
        The default; every option has one. Must be immutable.
    help : str
        What the option does, in one sentence.
    unit : str
        The unit of the value as the user gives it ("mm", "deg", "Angstrom", "px", ...).
    ge, gt, le, lt : float, optional
        Bounds: greater or equal, greater, less or equal, less.
    min_length : int, optional
        The least length of a text or sequence.
    """
    limits = {"ge": ge, "gt": gt, "le": le, "lt": lt, "min_length": min_length}
    metadata = {"help": help, "unit": unit, "limits": {k: v for k, v in limits.items() if v is not None}}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Option:
    """One option as shown to people: name, type, default, meaning, unit and limits."""

    name: str
    annotation: str
    default: Any
    help: str
    unit: str
    limits: Mapping[str, float]

    @property
    def range(self) -> str:
        """The limits in words: ``> 0, <= 1``; empty when there are none."""
        signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "min_length": "length >="}
        return ", ".join(f"{signs[key]} {value:g}" for key, value in self.limits.items())


def describe(cls: type[Any]) -> tuple[Option, ...]:
    """List the options of a component or step class, in the order of its fields."""
    return tuple(
        Option(
            field.name,
            field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type)),
            field.default,
            field.metadata.get("help", ""),
            field.metadata.get("unit", ""),
            field.metadata.get("limits", {}),
        )
        for field in dataclasses.fields(cls)
    )


def suggest(word: str, known: Sequence[str], otherwise: str | None = None) -> str:
    """Give a "did you mean" for a misspelt word; else ``otherwise``, or the list of what is known."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(f"'{name}'" for name in close) + "?"
    if otherwise is not None:
        return otherwise
    return "Known: " + ", ".join(sorted(known)) + "." if known else ""


def build(cls: type[T], values: Mapping[str, Any], *, name: str) -> T:
    """Make a component from option values (text from a command line, or typed values).

    Parameters
    ----------
    cls : type
        A frozen dataclass whose fields are its options.
    values : Mapping
        Option name to value; text is converted to the type of the option.
    name : str
        The name by which the user knows the component, for messages.

    Raises
    ------
    UsageError
        Names every unknown option and every value of the wrong type or out of range.
    """
    from pydantic import Field, ValidationError, create_model

    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = [key for key in values if key not in fields]
    if unknown:
        raise UsageError(
            "Unknown option"
            + ("s " if len(unknown) > 1 else " ")
            + ", ".join(f"{name}.{key}" for key in unknown)
            + ".",
            f"'{name}' has the options: {', '.join(fields)}.",
            " ".join(suggest(key, list(fields)) for key in unknown),
        )
    hints = get_type_hints(cls)
    checked: dict[str, Any] = {
        key: (Annotated[hints[key], Field(**fields[key].metadata.get("limits", {}))], ...) for key in values
    }
    try:
        model = create_model("Options", **checked)(
            **{key: _split(hints[key], value) for key, value in values.items()}
        )
    except ValidationError as error:
        lines = [_complaint(name, item) for item in error.errors()]
        raise UsageError(
            "Bad value for "
            + ", ".join(dict.fromkeys(f"{name}.{e['loc'][0]}" for e in error.errors()))
            + ".",
            " ".join(lines),
            f"See what it takes with: smalti params search {error.errors()[0]['loc'][0]}",
        ) from None
    return cls(**{key: getattr(model, key) for key in values})


def _split(hint: Any, value: Any) -> Any:
    """Turn "1,2,3" into a list where the option is a sequence, "none" into None where that is allowed."""
    if not isinstance(value, str):
        return value
    text = str(hint)
    if value.strip().lower() in {"none", ""} and "None" in text:
        return None
    if text.startswith(("tuple", "collections.abc.Sequence", "frozenset")) or "tuple[" in text:
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _complaint(name: str, item: Mapping[str, Any]) -> str:
    message = item["msg"][0].lower() + item["msg"][1:]
    # Of a choice of types pydantic names each in the place: only names and numbers of items are for people.
    place = [str(part) for k, part in enumerate(item["loc"]) if k == 0 or isinstance(part, int)]
    return f"{name}.{'.'.join(place)} = {item['input']!r}: {message}."
