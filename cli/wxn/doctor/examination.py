"""Runs the checks: side by side, each in its time, so that none stops another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from http import HTTPStatus
from typing import Final, NamedTuple

from wxn.api import ApiError
from wxn.aws_errors import translate
from wxn.doctor.advice import Severity
from wxn.doctor.checks import ACCOUNT_CHECKS, CALLBACKS, FIRST, REFRESH, STACK_CHECKS, AccountCheck, Check
from wxn.doctor.context import Context, DeniedError, MissingResourceError
from wxn.doctor.findings import Finding
from wxn.doctor.tokens import NO_TOKEN
from wxn.errors import CommandError
from wxn.language import text

_THREADS: Final = 16
_LAPTOP_THREADS: Final = 3
"""On this machine each request that runs beside another starts a process."""
STAGE_SECONDS: Final = 75.0
"""For the checks that run side by side; a refresh takes a minute at worst."""

_CONSEQUENCES: Final = frozenset({"token-not-stored", "token-old"})
"""Nothing new of an account whose token WeChat refuses."""


class Report(NamedTuple):
    """The findings of one check; ``findings`` is None where the check was not made."""

    check: Check | AccountCheck
    findings: Sequence[Finding] | None

    @property
    def status(self) -> str:
        """``ok``, ``problem`` or ``skipped``."""
        if self.findings is None:
            return "skipped"
        return "problem" if self.findings else "ok"


def examine(context: Context, seconds: float = STAGE_SECONDS) -> list[Report]:
    """Make all checks; in the order of `checks`, and no finding is told twice.

    Parameters
    ----------
    context
        The stack.
    seconds
        The longest time for the checks that run side by side.
    """
    reports: list[Report] = []
    pool = ThreadPoolExecutor(_THREADS if context.stack.laptop is None else _LAPTOP_THREADS)
    try:
        for check in FIRST:
            reports += _side_by_side(pool, context, [check], seconds)
            if _stops(reports[-1]):
                return _complete(reports)
        for checks in (STACK_CHECKS, [REFRESH], [CALLBACKS]):
            reports += _side_by_side(pool, context, checks, seconds)
        reports += _of_accounts(pool, context, _accounts(context), seconds)
    finally:
        # What hangs ends by its own time limit.
        pool.shutdown(wait=False, cancel_futures=True)
    return _complete(reports)


def findings(reports: Iterable[Report]) -> list[Finding]:
    """All findings: the most severe first, and of these the stack's before those of accounts."""
    told: dict[tuple[str, str | None, str | None], Finding] = {}
    for report in reports:
        for finding in report.findings or ():
            told.setdefault(finding.key, finding)
    return sorted(told.values(), key=lambda finding: (finding.severity, finding.account is not None))


def _stops(report: Report) -> bool:
    """Nothing can be looked at without what the first checks need."""
    kinds = {finding.name for finding in report.findings or ()}
    return any(
        finding.severity is Severity.CRITICAL for finding in report.findings or ()
    ) or not kinds.isdisjoint({"missing-permission", "check-failed", "check-timed-out"})


def _side_by_side(
    pool: ThreadPoolExecutor, context: Context, checks: Sequence[Check], seconds: float
) -> Iterator[Report]:
    jobs = [
        pool.submit(_made, context, check.name, None, partial(check.examine, context)) for check in checks
    ]
    for check, found in zip(checks, _ended(jobs, [check.name for check in checks], seconds), strict=True):
        yield Report(check, found)


def _of_accounts(
    pool: ThreadPoolExecutor, context: Context, accounts: Sequence[str], seconds: float
) -> Iterator[Report]:
    if not accounts:
        return
    asked = [(check, account) for check in ACCOUNT_CHECKS for account in accounts]
    jobs = [
        pool.submit(_made, context, check.name, account, partial(check.examine, context, account))
        for check, account in asked
    ]
    ended = _ended(jobs, [check.name for check, _ in asked], seconds)
    by_check: dict[str, list[Finding]] = {check.name: [] for check in ACCOUNT_CHECKS}
    for (check, _), found in zip(asked, ended, strict=True):
        by_check[check.name] += found
    for check in ACCOUNT_CHECKS:
        yield Report(check, by_check[check.name])


def _ended(
    jobs: Sequence[Future[list[Finding]]], names: Sequence[str], seconds: float
) -> list[list[Finding]]:
    done, _ = wait(jobs, timeout=seconds)
    return [
        job.result() if job in done else [_timed_out(name, seconds)]
        for job, name in zip(jobs, names, strict=True)
    ]


def _timed_out(name: str, seconds: float) -> Finding:
    seen = text(
        f"The check {name} had no answer after {seconds:.0f} s.",
        f"检查 {name} 在 {seconds:.0f} 秒内没有结果。",
    )
    return Finding("check-timed-out", seen, subject=name)


def _made(
    context: Context, name: str, account: str | None, examine: Callable[[], Iterable[Finding]]
) -> list[Finding]:
    """The findings of a check; an error is one more finding."""
    found: list[Finding] = []
    try:
        found.extend(examine())
    except MissingResourceError as error:
        found.append(_outdated(context, error.name))
    except DeniedError as error:
        found.append(_denied(error.action, account))
    except ApiError as error:
        found.append(_api_refused(context, error, account))
    except CommandError as error:
        found.append(_api_fails(context, error.message, account))
    except Exception as error:  # noqa: BLE001 - the other checks go on
        known = translate(error)
        seen = f"{name}: {known.message if known else type(error).__name__}"
        found.append(Finding("check-failed", seen, account, name))
    return found


def _outdated(context: Context, missing: str) -> Finding:
    seen = text(f"It does not have {missing}.", f"其中没有 {missing}。")
    return Finding("stack-outdated", seen, subject=context.stack.name)


def _denied(action: str, account: str | None) -> Finding:
    return Finding(
        "missing-permission", text(f"AWS denies {action}.", f"AWS 拒绝执行 {action}。"), account, action
    )


def _api_refused(context: Context, error: ApiError, account: str | None) -> Finding:
    if error.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return _denied("execute-api:Invoke", account)
    if error.status == HTTPStatus.NOT_FOUND and "type" in error.problem:  # the service's own
        return Finding("credentials-missing", error.message, account, facts={"path": context.parameter_path})
    if error.status == HTTPStatus.NOT_FOUND:
        return _outdated(context, text("one of the routes", "某个路由"))
    return _api_fails(context, error.message, account)


def _api_fails(context: Context, seen: str, account: str | None) -> Finding:
    return Finding("api-fails", seen, account, facts={"log": context.log("TeamApiFunction")})


def _accounts(context: Context) -> Sequence[str]:
    """The accounts; none where they cannot be listed, which the check of the stored tokens tells."""
    try:
        return context.accounts
    except Exception:  # noqa: BLE001 - as that check met it
        return ()


def _complete(reports: Sequence[Report]) -> list[Report]:
    """The reports without consequences, and those of the checks that were not made."""
    found = [finding for report in reports for finding in report.findings or ()]
    without_token = {finding.account for finding in found if finding.name in NO_TOKEN}
    made = {
        report.check.name: [
            finding
            for finding in report.findings or ()
            if finding.name not in _CONSEQUENCES or finding.account not in without_token
        ]
        for report in reports
    }
    checks = (*FIRST, *STACK_CHECKS, REFRESH, CALLBACKS, *ACCOUNT_CHECKS)
    return [Report(check, made.get(check.name)) for check in checks]
