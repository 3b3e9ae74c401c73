"""Every trouble that the doctor tells, and a way to plant it."""

import json
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, NamedTuple

from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from tests.unit.wxn.doctor.world import (
    NOW,
    RefusedError,
    World,
    alarm,
    hours_ago,
    iso,
    payload,
    quota,
    schedule,
    subscription,
)
from wxn.api import ApiError

Plant = Callable[[World], object]


class Trouble(NamedTuple):
    """A trouble by its name.

    ``told`` has to stand in its evidence or in its next step; ``along`` are the findings that come with it.
    """

    name: str
    plant: Plant
    told: str = ""
    along: frozenset[str] = frozenset()


def failure(errcode: int | None, error_class: str = "config", errmsg: str = "refused rid: 1-2-3") -> Plant:
    """WeChat gives the account no token."""

    def plant(world: World) -> None:
        hint = {"en": "the hint", "zh": "提示"}
        failed = {"account": "shop", "class": error_class, "errcode": errcode, "errmsg": errmsg, "hint": hint}
        world.refreshed |= {"unchanged": [], "failed": [failed]}

    return plant


def unsent(**fields: Any) -> Plant:
    """Two messages failed."""

    def plant(world: World) -> None:
        message = {
            "kind": "template",
            "template_id": "T-template",
            "status": "failed",
            "created_at": iso(hours_ago(1)),
        }
        world.api["GET messages"] = {"messages": [message | fields, message | fields]}

    return plant


def judged(errcode: int, error_class: str, **fields: Any) -> Plant:
    """Two messages failed by an answer of WeChat's."""
    return unsent(wechat={"errcode": errcode}, **{"class": error_class}, **fields)


def hold(error_class: str, errcode: int) -> Plant:
    """The template messages are held."""

    def plant(world: World) -> None:
        held = {"id": "kind:template", "kind": "template", "class": error_class, "errcode": errcode}
        world.api["GET holds"] = {
            "holds": [held | {"held_until": iso(NOW), "hint": {"en": "why", "zh": "原因"}}]
        }

    return plant


def answer(action: str, given: Any) -> Plant:
    """AWS answers an action so."""
    return lambda world: world.answers.update({action: given})


def metric(part: str, name: str, *values: float) -> Plant:
    """CloudWatch has these values, the newest first."""
    return lambda world: world.metrics.update({(part, name): list(values)})


def starved_refresher(world: World) -> None:
    """It ran 20 minutes ago, and has been throttled since."""
    world.metrics["id-TokenRefreshFunction", "Invocations"] = [0.0, 0.0, 0.0, 3.0]
    world.metrics["id-TokenRefreshFunction", "Throttles"] = [3.0, 1.0]


def other_kind_of_account(world: World) -> None:
    judged(48001, "permission")(world)
    refused = {"kind": "template", "refused": {"class": "permission", "errcode": 76022, "hint": {}}}
    world.api["GET quota"] = {"kinds": [refused]}


def broadcast(state: str, **fields: Any) -> Plant:
    def plant(world: World) -> None:
        summary = {"id": "spring", "state": state, "created_at": iso(hours_ago(2)), **fields}
        world.api["GET broadcasts"] = {"broadcasts": [summary]}
        world.api["GET broadcasts/spring"] = summary

    return plant


def function_error(world: World) -> None:
    given = {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": payload({"errorType": "Boom"})}
    world.answers["lambda:Invoke"] = given


def hanging(world: World) -> None:
    """The table's service answers only after the test."""

    def wait(_asked: Any) -> dict[str, Any]:
        world.released.wait(10)
        return {"Table": {"TableStatus": "ACTIVE"}}

    world.answers["dynamodb:DescribeTable"] = wait


def laptop(world: World) -> None:
    world.laptop = {"aws_endpoint_url": "http://127.0.0.1:1"}
    world.answers["sts:GetCallerIdentity"] = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")


def laptop_of_another_stack(world: World) -> None:
    world.laptop = {}
    world.answers["sts:GetCallerIdentity"] = RefusedError("InvalidClientTokenId")


def at(minutes: float) -> dict[str, str]:
    return {"date": format_datetime(NOW + timedelta(minutes=minutes))}


def skewed(world: World) -> None:
    world.answers["sts:GetCallerIdentity"] = RefusedError(
        "SignatureDoesNotMatch", "Signature expired", at(20)
    )


def no_credentials(world: World) -> None:
    world.stored["shop"] = {"access-token": hours_ago(1)}
    world.refreshed["unchanged"] = []


def not_stored(world: World) -> None:
    world.refreshed["not_stored"] = ["shop"]


def no_token(world: World) -> None:
    del world.stored["shop"]["access-token"]


def old_token(world: World) -> None:
    world.stored["shop"]["access-token"] = hours_ago(3)


def silent_alarms(world: World) -> None:
    world.alarms["DeadLetterAlarm"]["AlarmActions"] = []


def old_templates(world: World) -> None:
    at = {"subscription": iso(hours_ago(20)), "template": None}
    world.api["GET templates"] = world.api["GET templates"] | {"synced_at": at}


def unconfirmed_email(world: World) -> None:
    """Of the stack's own topic."""
    world.stack_parameters = {"Stage": "prod", "AlarmEmail": "ops@example.com", "AlarmTopicArn": ""}
    world.subscriptions = [subscription("PendingConfirmation")]


def no_topic(world: World) -> None:
    world.answers["sns:ListSubscriptionsByTopic"] = RefusedError("NotFound")


def other_stack(world: World) -> None:
    world.answers["cloudformation:ListStackResources"] = {"StackResourceSummaries": []}


def api_problem(status: int, **problem: str) -> Plant:
    return lambda world: world.api.update({"GET quota": ApiError(status, problem)})


def callback(**answer: Any) -> Plant:
    """The account has callback keys, and token_refresh answers the question for its address so."""

    def plant(world: World) -> None:
        world.stored["shop"]["callback"] = hours_ago(1000)
        world.callback = answer

    return plant


def platform(**hours: float) -> Plant:
    """Beside the account there is a platform; its parameters by the hours since their last change."""

    def plant(world: World) -> None:
        named = {name.replace("_", "-"): hours_ago(each) for name, each in hours.items()}
        world.stored["platform"] = {"credentials": hours_ago(1000), **named}

    return plant


def merchant(error_class: str) -> Plant:
    """The account is a merchant for whom WeChat has no refresh token."""

    def plant(world: World) -> None:
        failure(None, error_class, "")(world)
        del world.stored["shop"]["access-token"]

    return plant


def unusable_keys(changed: float) -> Plant:
    """The account's keys, stored so many hours ago, could not be read half an hour ago."""

    def plant(world: World) -> None:
        world.stored["shop"]["callback"] = hours_ago(changed)
        refusal = {"route": "POST /v1/callbacks/{account}", "status_code": 403, "reason": "unusable_keys"}
        strangers = [json.dumps(refusal | {"reason": "unknown_account"}), "[1]"]
        lines = [json.dumps(refusal | {"account": name}) for name in ("shop", "removed")]
        world.callback_log += [(hours_ago(0.5), line) for line in (*strangers, *lines)]

    return plant


TROUBLES = (
    Trouble("platform-keys-missing", platform(ticket_request=0.1, component_access_token=1)),
    Trouble("platform-ticket-missing", platform(ticket_request=0.1, callback=1), "no ticket"),
    Trouble(
        "platform-ticket-missing",
        platform(ticket=13, callback=900, component_access_token=13),
        "13 h ago",
    ),
    Trouble("merchant-not-authorized", merchant("platform"), "authorize the platform again"),
    Trouble("merchant-not-authorized", merchant("permission"), "the hint"),
    Trouble("callback-keys-unusable", unusable_keys(24), "30 min ago"),
    Trouble("callback-unresolved", callback(result="callback_check", addresses=[]), "IP address"),
    Trouble(
        "callback-check-refused",
        callback(
            result="refused", refused={"class": "other", "errcode": 40201, "errmsg": "invalid url rid: 1-2-3"}
        ),
        "WeChat answers 40201 invalid url.",
    ),
    Trouble("stack-outdated", callback(result="bad_request"), "the check of callback addresses"),
    Trouble(
        "wrong-secret", failure(40125, errmsg="invalid appsecret rid: 1-2-3"), "40125: invalid appsecret"
    ),
    Trouble("wrong-secret", failure(40001)),
    Trouble("frozen-secret", failure(40243)),
    Trouble("wrong-app-id", failure(40013)),
    Trouble("account-blocked", failure(50007, "banned")),
    Trouble(
        "ip-not-whitelisted",
        failure(40164, errmsg="invalid ip 203.0.113.5 ipv6 ::ffff:203.0.113.5, not in whitelist rid: 1-2-3"),
        "Put 203.0.113.5 on the IP whitelist of shop",
    ),
    Trouble(
        "ip-not-whitelisted", failure(40164, errmsg="invalid ip 2001:db8::5, not in"), "Put 2001:db8::5 on"
    ),
    Trouble("malformed-credentials", failure(None, errmsg=""), "the hint"),
    Trouble("token-refresh-failed", failure(None, "transient"), "the hint"),
    Trouble("token-refresh-failed", failure(89503), "89503"),
    Trouble("wrong-account-kind", other_kind_of_account, "Send template with"),
    Trouble("wrong-account-kind", judged(40200, "permission")),
    Trouble("api-not-permitted", judged(48001, "permission"), "48001: template with T-template, 2 ×"),
    Trouble("unknown-template", judged(40037, "template", template_id="T-gone"), "T-gone"),
    Trouble(
        "template-of-other-family",
        judged(40037, "template", template_id="T-sub"),
        "Send it as subscription / mini_program_subscription",
    ),
    Trouble(
        "template-of-other-family",
        judged(43101, "recipient", kind="subscription", template_id="T-template"),
        "Send it as template",
    ),
    Trouble(
        "template-of-other-family",
        unsent(reason="invalid_message", kind="mini_program_subscription", **{"class": "request"}),
    ),
    Trouble(
        "quota-used-up",
        lambda world: world.api["GET quota"].update(kinds=[quota("template", used=1000)]),
        "1,000",
    ),
    Trouble("hold-open", hold("transient", -1), "wxn holds release kind:template --account shop"),
    Trouble("quota-used-up", hold("quota", 45009), "45009", frozenset({"hold-open"})),
    Trouble("api-not-permitted", hold("permission", 48001), "48001", frozenset({"hold-open"})),
    Trouble("token-not-stored", not_stored),
    Trouble("token-not-stored", no_token),
    Trouble("token-old", old_token, "3 h ago"),
    Trouble("credentials-missing", no_credentials, "wxn account add shop"),
    Trouble("no-accounts", lambda world: world.stored.clear()),
    Trouble("refresher-disabled", lambda world: world.concurrency.update(TokenRefreshFunction=0)),
    Trouble(
        "refresher-disabled",
        lambda world: world.stack_schedules.update(RefreshSchedule="DISABLED"),
        "--name id-RefreshSchedule --state ENABLED --schedule-expression 'rate(5 minutes)'",
    ),
    Trouble("refresher-disabled", lambda world: world.stack_schedules.pop("RefreshSchedule"), "is gone"),
    Trouble("refresher-throttled", starved_refresher, "throttled 4 times"),
    Trouble("refresher-throttled", answer("lambda:Invoke", RefusedError("TooManyRequestsException"))),
    Trouble("refresher-lock-missing", lambda world: world.concurrency.clear()),
    Trouble("refresher-fails", function_error),
    Trouble(
        "queue-mapping-disabled",
        lambda world: world.mappings["SendQueueFunctionQueue"].update(State="Disabled"),
    ),
    Trouble(
        "queue-mapping-fails",
        lambda world: world.mappings["BroadcastFunctionStep"].update(
            LastProcessingResult="PROBLEM: no permission"
        ),
    ),
    Trouble(
        "dead-letters", lambda world: world.queue_counts["DeadLetterQueue"].update({"": 3}), "3 messages"
    ),
    Trouble("undelivered-events", lambda world: world.queue_counts["EventDeadLetterQueue"].update({"": 1})),
    Trouble(
        "callback-dead-letters", lambda world: world.queue_counts["CallbackDeadLetterQueue"].update({"": 1})
    ),
    Trouble("queue-lags", metric("SendQueue", "ApproximateAgeOfOldestMessage", 2400.0, 1.0), "40 min old"),
    Trouble(
        "queue-in-flight-limit",
        lambda world: world.queue_counts["SendQueue"].update(NotVisible=110_000),
        "110,000",
    ),
    Trouble("clock-skew", skewed, "20 min behind"),
    Trouble(
        "clock-skew",
        answer("sts:GetCallerIdentity", RefusedError("InvalidClientTokenId", "", at(-6))),
        "ahead of",
    ),
    Trouble("credentials-rejected", answer("sts:GetCallerIdentity", RefusedError("ExpiredToken"))),
    Trouble("credentials-rejected", answer("sts:GetCallerIdentity", NoCredentialsError())),
    Trouble(
        "aws-unreachable",
        answer("sts:GetCallerIdentity", EndpointConnectionError(endpoint_url="https://sts")),
    ),
    Trouble("state-file-stale", laptop),
    Trouble("state-file-stale", laptop_of_another_stack),
    Trouble(
        "missing-permission",
        answer("dynamodb:DescribeTable", RefusedError("AccessDeniedException")),
        "dynamodb:DescribeTable",
    ),
    Trouble("missing-permission", api_problem(403), "execute-api:Invoke"),
    Trouble("check-failed", answer("dynamodb:DescribeTable", RefusedError("InternalServerError")), "table"),
    Trouble("check-timed-out", hanging, "table"),
    Trouble("api-fails", api_problem(500)),
    Trouble("credentials-missing", api_problem(404, type="/docs/problems.md#unknown-account")),
    Trouble("credentials-missing", api_problem(404, type="/docs/problems.md#account-name")),
    Trouble("stack-outdated", api_problem(404, message="Not Found"), "one of the routes"),
    Trouble(
        "stack-not-found",
        answer("cloudformation:DescribeStacks", RefusedError("ValidationError")),
        "eu-west-1",
    ),
    Trouble("other-stack", other_stack),
    Trouble(
        "stack-outdated", lambda world: world.missing.add("TemplateSyncSchedule"), "TemplateSyncSchedule"
    ),
    Trouble("deployment-failed", lambda world: setattr(world, "stack_status", "UPDATE_ROLLBACK_FAILED")),
    Trouble(
        "deployment-rolled-back", lambda world: setattr(world, "stack_status", "UPDATE_ROLLBACK_COMPLETE")
    ),
    Trouble(
        "function-disabled",
        lambda world: world.concurrency.update(SendQueueFunction=0),
        "id-SendQueueFunction",
    ),
    Trouble("function-errors", metric("id-SendApiFunction", "Errors", 2.0, 1.0), "failed 3 times"),
    Trouble("function-throttled", metric("id-SendApiFunction", "Throttles", 2.0), "throttled 2 times"),
    Trouble("table-not-active", lambda world: setattr(world, "table_status", "DELETING"), "DELETING"),
    Trouble("table-not-active", answer("dynamodb:DescribeTable", RefusedError("ResourceNotFoundException"))),
    Trouble("table-throttled", metric("id-Ledger", "WriteThrottleEvents", 5.0), "0 reads and 5 writes"),
    Trouble("table-throttled", metric("listed", "ReadThrottleEvents", 7.0), "7 reads and 0 writes"),
    Trouble("unknown-errcode", judged(99999, "other"), "99999"),
    Trouble("messages-failing", judged(47003, "request"), "47003"),
    Trouble("messages-failing", unsent(reason="internal_error", **{"class": "other"}), "internal_error"),
    Trouble("recipients-refused", judged(43101, "recipient"), "43101"),
    Trouble("outcome-unknown", unsent(status="unknown")),
    Trouble("templates-old", old_templates, "20 h ago"),
    Trouble("broadcast-paused", broadcast("paused", reason="too_many_failures"), "spring"),
    Trouble("broadcast-stalled", broadcast("checking")),
    Trouble("broadcast-stalled", broadcast("running", next_release_at=iso(hours_ago(1)))),
    Trouble(
        "template-sync-disabled", lambda world: world.stack_schedules.update(TemplateSyncSchedule="DISABLED")
    ),
    Trouble(
        "schedule-disabled", lambda world: world.schedules.append(schedule("shop.old", "DISABLED")), "old"
    ),
    Trouble(
        "alarm-raised", lambda world: world.alarms.update(DeadLetterAlarm=alarm("DeadLetterAlarm", "ALARM"))
    ),
    Trouble("alarm-raised", lambda world: world.composite.update(StateValue="ALARM"), "MessagesDoNotFlow"),
    Trouble("alarm-without-action", silent_alarms, "1 of 3 alarms"),
    Trouble("alarm-topic-unsubscribed", unconfirmed_email, "1 subscriptions wait"),
    Trouble("alarm-topic-unsubscribed", lambda world: world.subscriptions.clear()),
    Trouble(
        "alarm-topic-unsubscribed",
        lambda world: setattr(world, "subscriptions", [subscription("PendingConfirmation")]),
        "1 subscriptions wait",
    ),
    Trouble("alarm-topic-unsubscribed", no_topic, "does not exist"),
)
