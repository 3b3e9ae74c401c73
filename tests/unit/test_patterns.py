"""No pattern of the layer or the functions can take more than linear time.

The rules are stricter than needed: a pattern that breaks one is written in another way.
"""

import ast
import importlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

parse: Any = importlib.import_module("re._parser").parse

ROOT = Path(__file__).parents[2]
SOURCES = [
    *sorted((ROOT / "layers/wechat_notify/wechat_notify").rglob("*.py")),
    *sorted((ROOT / "functions").rglob("*.py")),
]
SCANNING = {"search", "findall", "finditer", "sub", "subn", "split"}
ANCHORED = {"match", "fullmatch"}
MIN_REPEATS = 16
"""Repeats of fewer are no loop."""
ALPHABET = [chr(code) for code in range(256)] + list("一〇年月日１\u2028\ufffd😀")


class Loop(NamedTuple):
    """A repeat without a small end, and the characters that it takes."""

    takes: frozenset[str]


class Once(NamedTuple):
    """One character that must come."""

    takes: frozenset[str]


Step = Loop | Once


def paths(nodes: Sequence[Any], flags: int) -> Iterator[list[Step]]:
    """Every way through a pattern. What is optional is left out and taken."""
    ways: list[list[Step]] = [[]]
    for operation, argument in nodes:
        ways = [way + more for way in ways for more in ways_of(str(operation), argument, flags)]
        assert len(ways) < 5000, "too many alternatives to judge"
    yield from ways


def ways_of(operation: str, argument: Any, flags: int) -> list[list[Step]]:
    if operation in ("AT", "ASSERT", "ASSERT_NOT", "GROUPREF"):
        assert operation != "GROUPREF", "a reference to a group is not judged"
        return [[]]
    if operation == "SUBPATTERN":
        return list(paths(argument[3], flags | argument[1]))
    if operation == "ATOMIC_GROUP":
        return list(paths(argument, flags))
    if operation == "BRANCH":
        return [way for branch in argument[1] for way in paths(branch, flags)]
    if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return repeated(operation, argument, flags)
    return [[Once(taken([(operation, argument)], flags))]]


def repeated(operation: str, argument: Any, flags: int) -> list[list[Step]]:
    least, most, body = argument
    inner = list(paths(body, flags))
    if most < MIN_REPEATS:
        return [way * least for way in inner] + [way * least + way for way in inner if least < most]
    if operation == "POSSESSIVE_REPEAT":  # never gives a character back
        return [[Once(taken(body, flags))]] if least else [[], [Once(taken(body, flags))]]
    firsts = [way[0].takes if way else frozenset() for way in inner]
    if any(one & other or not one for at, one in enumerate(firsts) for other in firsts[:at]):
        raise SlowPatternError("a turn of the loop can be taken in two ways")
    if any(isinstance(step, Loop) for way in inner for step in way):
        # One turn after another: a loop in one must not run into the next. What follows sees the last.
        return [[], *(one + other for one in inner for other in inner)]
    return [[Loop(frozenset().union(*(step.takes for way in inner for step in way)))]]


def taken(nodes: Sequence[Any], flags: int) -> frozenset[str]:
    """The characters of the alphabet that stand in what the nodes take."""
    found: set[str] = set()
    for operation, argument in nodes:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            found |= taken(argument[2], flags)
        elif name == "SUBPATTERN":
            found |= taken(argument[3], flags | argument[1])
        elif name == "BRANCH":
            found = found.union(*(taken(branch, flags) for branch in argument[1]))
        elif name == "LITERAL":
            found |= {c for c in ALPHABET if c.casefold() == chr(argument).casefold()}
        elif name == "NOT_LITERAL":
            found |= set(ALPHABET) - {chr(argument)}
        elif name == "ANY":
            found |= set(ALPHABET)
        elif name == "IN":
            found |= members(argument)
    return frozenset(found)


CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}


def members(items: Sequence[Any]) -> set[str]:
    found: set[str] = set()
    negated = False
    for operation, argument in items:
        name = str(operation)
        if name == "NEGATE":
            negated = True
        elif name == "LITERAL":
            found.add(chr(argument))
        elif name == "RANGE":
            found |= {c for c in ALPHABET if argument[0] <= ord(c) <= argument[1]}
        else:
            found |= {c for c in ALPHABET if re.match(CATEGORIES[str(argument)], c)}
    return set(ALPHABET) - found if negated else found


class SlowPatternError(Exception):
    """A pattern can take more than linear time."""


def check_way(way: Sequence[Step]) -> None:
    """Two loops must have a character between them that the first does not take, or share none."""
    for at, first in enumerate(way):
        if not isinstance(first, Loop):
            continue
        for step in way[at + 1 :]:
            if isinstance(step, Loop) and first.takes & step.takes:
                raise SlowPatternError("two loops take the same characters")
            if isinstance(step, Once) and not first.takes & step.takes:
                break


def check(pattern: str | bytes, *, scanning: bool) -> None:
    """Raise SlowPatternError unless the pattern is linear."""
    tree = parse(pattern)
    for way in paths(tree, tree.state.flags):
        check_way(way)
        if scanning:
            # A search begins at every character: a loop must not be able to run over other beginnings.
            for at, step in enumerate(way):
                before = [once.takes for once in way[:at] if isinstance(once, Once)]
                if isinstance(step, Loop) and all(takes & step.takes for takes in before):
                    raise SlowPatternError("a search reads the same characters again from each of them")


def uses() -> Iterator[tuple[str, str | bytes, bool]]:
    """Every pattern that the sources give to ``re``, with its place and whether a search is made of it."""
    for source in SOURCES:
        package = ROOT / "layers/wechat_notify" if "layers" in source.parts else ROOT
        name = ".".join(source.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        nodes = list(ast.walk(tree := ast.parse(source.read_text("utf-8"))))
        if not any(isinstance(node, ast.Import) and "re" in [n.name for n in node.names] for node in nodes):
            assert "from re import" not in source.read_text("utf-8"), source
            continue
        names = vars(importlib.import_module(name))
        # The methods that are called of every name. A pattern that is handed on could be used in any way.
        called: dict[str, set[str]] = defaultdict(set)
        for node in nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                called[node.value.id].add(node.attr)
        for constant, value in names.items():
            if isinstance(value, re.Pattern):
                of_it = called.get(constant)
                yield f"{name}.{constant}", value.pattern, not of_it or bool(of_it & SCANNING)
        for node in nodes:
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile")):
                    assert node in [getattr(a, "value", None) for a in tree.body], f"{name}:{node.lineno}"
                case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=method)) if (
                    method in SCANNING | ANCHORED
                ):
                    code = compile(ast.Expression(node.args[0]), name, "eval")
                    yield f"{name}:{node.lineno}", evaluated(code, names), method in SCANNING


def evaluated(code: Any, names: dict[str, Any]) -> str | bytes:
    try:
        pattern: str | bytes = eval(code, dict(names))  # noqa: S307 - our own source
    except NameError:  # the name of a field, which is escaped
        pattern = eval(code, dict(names), {"name": "content-type"})  # noqa: S307 - the same
    return pattern


USES = sorted(uses(), key=lambda use: use[0])


def test_patterns_are_found() -> None:
    assert len(USES) > 25


@pytest.mark.parametrize(("pattern", "scanning"), [use[1:] for use in USES], ids=[use[0] for use in USES])
def test_pattern_is_linear(pattern: str | bytes, *, scanning: bool) -> None:
    check(pattern, scanning=scanning)


NESTED = ["(a+)+$", "(?:a|b)*[a-c]*x", "(?:a|aa)*b", "(?:a*b|a*c)*d", r"(\w+\s?)*$"]
SLOW = [*NESTED, "a*b?a*", "a*a{0,200}", r".*\d+x"]
FAST = [r"\d+$", "(?:,a*)*", "a+(?:-a+)*b", "(?:a++)*+b"]


@pytest.mark.parametrize(
    ("pattern", "scanning"), [*((pattern, False) for pattern in SLOW), (r"\d+$", True), (r"a[^b]*b", True)]
)
def test_planted_slow_pattern_is_found(pattern: str, *, scanning: bool) -> None:
    with pytest.raises(SlowPatternError):
        check(pattern, scanning=scanning)


@pytest.mark.parametrize(
    ("pattern", "scanning"), [*((pattern, False) for pattern in FAST), ("x[0-9]+y*", True)]
)
def test_fast_pattern_is_not(pattern: str, *, scanning: bool) -> None:
    check(pattern, scanning=scanning)
