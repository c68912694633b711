"""What a rubric may hold, as dataclasses whose fields are its YAML.

pydantic validates them, as it does any dataclass; what `field` is told, and the `Rule` of an annotation, is for it. It
is imported where a rubric is read, and only there: a rubric that was read before is graded without it, for it takes
longer to import than most images to build from the cache.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping  # noqa: TC003  # pydantic looks it up
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable


class Unset(Enum):
    """What a field holds that anything may stand in, even nothing (`null`), when nothing stands there."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
M = TypeVar("M", bound="Model")


def field(*, default: Any = dataclasses.MISSING, **told: Any) -> Any:
    """A field of a ``Model``; ``told`` are arguments of pydantic's `Field`, such as ``description`` and ``pattern``.

    A field without ``default`` is required.
    """
    if isinstance(default, dict | list):
        return dataclasses.field(default_factory=default.copy, metadata=told)
    if default is UNSET:
        # From a factory, because it has no place in a JSON Schema.
        return dataclasses.field(default_factory=lambda: UNSET, metadata=told)
    return dataclasses.field(default=default, metadata=told)


@dataclass_transform(kw_only_default=True, frozen_default=True, eq_default=False, field_specifiers=(field,))
class Model:
    """A frozen dataclass, by inheritance alone; keys that are not its fields are mistakes of the rubric.

    What takes more than one field to tell is told by ``__post_init__``, and by ``refuse`` what the keys tell that were
    written. They raise ``ValueError``: what is wrong and, after a semicolon, how to mend it. If it begins with the name
    of a field, that is where it points.
    """

    #: Of each subclass, by `dataclass`.
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]
    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid"}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)

    @classmethod
    def refuse(cls, written: Mapping[str, Any]) -> None:
        """Raises ``ValueError`` when there are keys in YAML that do not go together, whatever they say."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415  # who asks has imported it

        def looked_at(written: Any) -> Any:
            if isinstance(written, dict):
                cls.refuse(written)
            return written

        return core_schema.no_info_before_validator_function(looked_at, handler(source))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self)))


def validated(model: type[M], written: Any) -> M:
    """The model of what is written in YAML; raises pydantic's ``ValidationError``."""
    made: M = _adapter(model).validate_python(written)  # type: ignore[arg-type]  # a class is hashable
    return made


@cache
def _adapter(model: Any) -> Any:
    """Making one takes longer than what it is made for."""
    from pydantic import TypeAdapter  # noqa: PLC0415  # see above

    return TypeAdapter(model)


def names(model: type[Model]) -> tuple[str, ...]:
    """The names of its fields, in their order."""
    return tuple(each.name for each in dataclasses.fields(model))


def keys(model: type[Model]) -> dict[str, dataclasses.Field[Any]]:
    """Its fields by the keys that stand for them in YAML."""
    return {each.metadata.get("alias", each.name): each for each in dataclasses.fields(model)}


class Rule:
    """In an `Annotated`: what a value has to be like. It speaks to pydantic through its protocol of custom types.

    ``before`` makes a value of what is written, and ``after`` gives back one that it finds right; both raise
    ``ValueError``. ``limits`` are those of the type's schema, such as ``pattern`` or ``ge``. ``schema`` stands in a
    JSON Schema instead of the type's own, and ``more`` beside it.
    """

    def __init__(
        self,
        after: Callable[[Any], Any] | None = None,
        *,
        before: Callable[[Any], Any] | None = None,
        schema: Mapping[str, Any] | None = None,
        more: Mapping[str, Any] | None = None,
        **limits: Any,
    ) -> None:
        """Any of them may be left out."""
        self._after = after
        self._before = before
        self._schema = schema
        self._more = more or {}
        self._limits = limits

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415  # who asks has imported it

        schema = handler(source) | self._limits
        if self._before:
            schema = core_schema.no_info_before_validator_function(self._before, schema)
        return core_schema.no_info_after_validator_function(self._after, schema) if self._after else schema

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        return {**(handler(schema) if self._schema is None else self._schema), **self._more}
