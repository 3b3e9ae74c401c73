"""Orders of the control API, taken apart name by name."""

import json
from collections.abc import Mapping
from typing import Any, cast

PREFIX = "/_sim/"
MISSING: Any = object()


class ControlError(Exception):
    """The control API was asked for something that it cannot do.

    Attributes
    ----------
    status
        The HTTP status of the answer.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Input:
    """A JSON object from outside, taken apart name by name; what is left over at the end was a mistake."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._left = dict(values)

    def has(self, name: str) -> bool:
        """Tell whether a name is there."""
        return name in self._left

    def take(self, name: str, default: Any = MISSING) -> Any:
        """A value as it is."""
        if name not in self._left and default is MISSING:
            raise ControlError(f"{name} is missing")
        return self._left.pop(name, default)

    def text(self, name: str, default: Any = MISSING) -> Any:
        """A text that is not empty."""
        value = self.take(name, default)
        if value is not default and not (isinstance(value, str) and value):
            raise ControlError(f"{name} must be a string that is not empty")
        return value

    def choice(self, name: str, choices: tuple[Any, ...], default: Any = MISSING) -> Any:
        """One of some values."""
        value = self.take(name, default)
        if value not in choices:
            raise ControlError(f"{name} must be one of {', '.join(map(json.dumps, choices))}")
        return choices[choices.index(value)]  # 1 equals True and 46101.0 equals 46101

    def number(self, name: str, low: float, high: float, default: Any = MISSING) -> Any:
        """A number within bounds."""
        value = self.take(name, default)
        if value is default:
            return value
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise ControlError(f"{name} must be a number from {low:g} to {high:g}")
        return value

    def integer(self, name: str, low: float, default: Any = MISSING, high: float = 10**12) -> Any:
        """A whole number within bounds."""
        value = self.number(name, low, high, default)
        if value is not default and not isinstance(value, int):
            raise ControlError(f"{name} must be a whole number")
        return value

    def limit(self, name: str, default: int | None) -> int | None:
        """A count, or null for no limit."""
        if self.has(name) and self._left[name] is None:
            self._left.pop(name)
            return None
        return cast("int | None", self.integer(name, 0, default))

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        return cast("bool", self.choice(name, (True, False), default))

    def texts(self, name: str, default: Any = ()) -> tuple[str, ...]:
        """A list of texts."""
        value = self.take(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise ControlError(f"{name} must be a list of strings")
        return tuple(value)

    def end(self) -> None:
        """Refuse names that nobody took."""
        if self._left:
            raise ControlError(f"unknown: {', '.join(sorted(map(str, self._left)))}")


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body, empty where there is none; raises `ControlError`."""
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        raise ControlError("the body is not JSON") from None
    if not isinstance(parsed, dict):
        raise ControlError("the body is not a JSON object")
    return parsed
