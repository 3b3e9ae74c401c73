"""SSM: parameters by name, whose reads may be behind the writes."""

# ruff: noqa: N803 - the names of a request's fields are AWS's

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.aws import Refusal

MAX_STALE = 5.0
"""Seconds by which a read of a parameter may be behind."""


class FakeParameters:
    """SSM's parameters, by name.

    ``lag`` is for how many seconds a read is behind the writes.
    """

    def __init__(self, now: Callable[[], float], lag: Callable[[], float] = lambda: 0.0) -> None:
        self.values: dict[str, str] = {}
        self._versions: dict[str, list[tuple[float, str]]] = {}
        """What was stored before, and until when."""
        self._lag = lag
        self.stored_at: dict[str, float] = {}
        self.saves = 0
        self._now = now

    def get_parameter(self, *, Name: str, WithDecryption: bool) -> dict[str, Any]:
        """One parameter."""
        assert WithDecryption
        if Name not in self.values:
            raise Refusal("ParameterNotFound")
        return {"Parameter": {"Name": Name, "Value": self._shown(Name)}}

    def get_parameters(self, *, Names: list[str], WithDecryption: bool) -> dict[str, Any]:
        """Those of ten that there are."""
        assert WithDecryption
        found = [{"Name": name, "Value": self._shown(name)} for name in Names if name in self.values]
        return {"Parameters": found, "InvalidParameters": [name for name in Names if name not in self.values]}

    def get_parameters_by_path(
        self, *, Path: str, Recursive: bool, WithDecryption: bool, NextToken: str = "0"
    ) -> dict[str, Any]:
        """Ten at a time, in order of name."""
        assert Recursive
        assert WithDecryption
        names = sorted(name for name in self.values if name.startswith(f"{Path}/"))
        start = int(NextToken)
        page = names[start : start + 10]
        answer: dict[str, Any] = {"Parameters": [{"Name": name, "Value": self._shown(name)} for name in page]}
        return answer | ({"NextToken": str(start + 10)} if start + 10 < len(names) else {})

    def describe_parameters(
        self, *, ParameterFilters: list[dict[str, Any]], MaxResults: int, NextToken: str = "0"
    ) -> dict[str, Any]:
        """The names that contain one of the texts, so many at a time, in order."""
        ((key, option, texts),) = [(each["Key"], each["Option"], each["Values"]) for each in ParameterFilters]
        assert (key, option, MaxResults) == ("Name", "Contains", 50)
        names = sorted(name for name in self.values if any(text in name for text in texts))
        start = int(NextToken)
        end = start + MaxResults
        answer: dict[str, Any] = {"Parameters": [{"Name": name} for name in names[start:end]]}
        return answer | ({"NextToken": str(end)} if end < len(names) else {})

    def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool) -> dict[str, Any]:
        """Replace a parameter."""
        assert Type in {"SecureString", "String"}
        assert Overwrite
        if Name in self.values:
            self._versions.setdefault(Name, []).append((self._now(), self.values[Name]))
        self.values[Name] = Value
        self.stored_at[Name] = self._now()
        self.saves += 1
        return {"Version": self.saves}

    def delete_parameters(self, *, Names: list[str]) -> dict[str, Any]:
        """Forget those of them that there are."""
        for name in Names:
            self.values.pop(name, None)
        return {}

    def _shown(self, name: str) -> str:
        now = self._now()
        behind = self._lag() if now < self.stored_at.get(name, 0.0) + MAX_STALE else 0.0
        for until, value in self._versions.get(name, ())[-4:]:
            if now - behind < until:
                return value
        return self.values[name]
