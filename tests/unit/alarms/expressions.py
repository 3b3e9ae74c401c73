"""CloudWatch's metric math, as far as the template uses it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html says of missing values:
arithmetic and comparisons of two series take one for 0 where the other series has a value; ``IF`` drops a
point whose condition has none.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cache

Series = list[float | None]
Value = float | Series

_OPERATORS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
}


@cache
def _parsed(text: str) -> ast.expr:
    return ast.parse(text.strip(), mode="eval").body


def compute(text: str, metrics: Mapping[str, Series], *, fills_empty: bool) -> Series:
    """The series of an expression.

    Parameters
    ----------
    metrics
        Series of one length by the ids that the expression uses.
    fills_empty
        Whether FILL makes values of a series that has none: the documentation leaves that open.
    """

    def value(node: ast.expr) -> Value:  # noqa: PLR0911 - one for each kind
        match node:
            case ast.Name():
                return metrics[node.id]
            case ast.Constant(value=float() | int()):
                return float(node.value)  # type: ignore[arg-type] # it is a number
            case ast.BinOp():
                return _pairwise(_OPERATORS[type(node.op)], value(node.left), value(node.right))
            case ast.Compare(ops=[op], comparators=[right]):
                return _pairwise(_OPERATORS[type(op)], value(node.left), value(right))
            case ast.Call(func=ast.Name(id="IF")):
                condition, then, otherwise = map(value, node.args)
                return _if(_series(condition), then, otherwise)
            case ast.Call(func=ast.Name(id="FILL")):
                series, filler = map(value, node.args)
                empty = all(point is None for point in _series(series))
                if empty and not fills_empty:
                    return series
                return [filler if point is None else point for point in _series(series)]  # type: ignore[misc]
            case ast.Call(func=ast.Name(id="DIFF")):
                return _diff(_series(value(node.args[0])))
        raise AssertionError(f"unknown metric math: {ast.unparse(node)}")

    return _series(value(_parsed(text)))


def _series(value: Value) -> Series:
    assert isinstance(value, list), "a number is not allowed here"
    return value


def _at(value: Value, index: int) -> float | None:
    return value[index] if isinstance(value, list) else value


def _pairwise(combine: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Combine two values, point by point where one of them is a series."""
    lengths = [len(each) for each in (left, right) if isinstance(each, list)]
    if not lengths:
        return float(combine(left, right))  # type: ignore[arg-type] # both are numbers
    combined: Series = []
    for index in range(lengths[0]):
        pair = _at(left, index), _at(right, index)
        known = [each for each, side in zip(pair, (left, right), strict=True) if isinstance(side, list)]
        if all(each is None for each in known):
            combined.append(None)
            continue
        try:
            combined.append(float(combine(pair[0] or 0.0, pair[1] or 0.0)))
        except ZeroDivisionError:
            combined.append(None)
    return combined


def _if(condition: Series, then: Value, otherwise: Value) -> Series:
    def chosen(index: int, truth: float | None) -> float | None:
        if truth is None:
            return None
        return (_at(then, index) or 0.0) if truth else _at(otherwise, index)

    return [chosen(index, truth) for index, truth in enumerate(condition)]


def _diff(series: Series) -> Series:
    differences: Series = []
    before: float | None = None
    for point in series:
        differences.append(None if point is None or before is None else point - before)
        before = before if point is None else point
    return differences
