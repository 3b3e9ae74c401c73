"""``wxn account`` on an SSM in this process; token_refresh's answers are told by the test."""

import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import PATH
from tests.unit.wxn import command_line
from wxn import questions, stacks
from wxn.stacks import Stack

APP_ID, SECRET = "wx0123456789abcdef", "5ec4e7" + "0" * 26
Aws = Callable[[str], Any]
Put = Callable[[str, str], None]
HINT = {"en": "Do it.", "zh": "处理。"}


class Refresher:
    """The Lambda service: token_refresh answers what it is told."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {"refreshed": ["shop"], "unchanged": [], "not_stored": [], "failed": []}
        self.error: dict[str, str] = {}
        self.unknown = 0
        self.asked: list[dict[str, Any]] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's names
        assert FunctionName == "refresh"
        self.asked.append(json.loads(Payload))
        if len(self.asked) <= self.unknown:
            return {"Payload": io.BytesIO(b'{"result": "unknown_account"}')}
        return {"Payload": io.BytesIO(json.dumps(self.answer).encode()), **self.error}

    def fails(self, errcode: int | None, error_class: str = "config", errmsg: str = "no") -> None:
        failure = {"account": "shop", "class": error_class, "errcode": errcode, "errmsg": errmsg}
        self.answer |= {"refreshed": [], "failed": [{**failure, "rid": None, "hint": HINT}]}


class AccountStack(Stack):
    def __init__(self, aws: Aws, refresher: Refresher) -> None:
        super().__init__("stack", region="eu-central-1")
        self._aws = aws
        self._refresher = refresher
        self.parameters: dict[str, str] = {}
        self.outputs = {
            "ParameterPath": PATH,
            "TokenRefreshFunctionName": "refresh",
            "ScheduleGroupName": "group",
        }

    def client(self, service: str, **_: Any) -> Any:
        return self._refresher if service == "lambda" else self._aws(service)


@pytest.fixture
def refresher() -> Refresher:
    return Refresher()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    aws: Aws,
    refresher: Refresher,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs ``wxn account``; exit code, standard output, standard error."""
    monkeypatch.setattr(stacks, "find", lambda *_: AccountStack(aws, refresher))
    aws("scheduler").create_schedule_group(Name="group")

    def main(*arguments: str, typed: str = "", terminal: bool = False) -> tuple[int, str, str]:
        monkeypatch.setattr(questions, "can_ask", lambda: terminal)
        ran = command_line.run(monkeypatch, capsys, "account", *arguments, typed=typed)
        assert SECRET not in ran.out + ran.err
        return ran.code, ran.out, ran.err

    return main


def add(run: Run, *more: str) -> tuple[int, str, str]:
    return run("add", "shop", "--app-id", APP_ID, "--secret-stdin", *more, typed=f"{SECRET}\n")


def stored(aws: Aws, name: str = "shop/credentials") -> Any:
    parameter = aws("ssm").get_parameter(Name=f"{PATH}/{name}", WithDecryption=True)["Parameter"]
    assert parameter["Type"] == "SecureString"
    return json.loads(parameter["Value"])


def test_add_stores_and_checks(run: Run, aws: Aws, refresher: Refresher) -> None:
    code, out, _ = add(run)

    assert (code, out) == (0, "WeChat accepts the credentials of shop.\n")
    assert stored(aws) == {"type": "app", "app_id": APP_ID, "app_secret": SECRET}
    assert refresher.asked == [{"account": "shop"}]


def test_add_encrypts_with_the_stacks_key(
    run: Run, aws: Aws, refresher: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = AccountStack(aws, refresher)
    key = stack.parameters["KmsKeyArn"] = "arn:aws:kms:eu-central-1:123456789012:key/1"
    monkeypatch.setattr(stacks, "find", lambda *_: stack)
    assert add(run)[0] == 0
    (parameter,) = aws("ssm").describe_parameters()["Parameters"]
    assert parameter["KeyId"] == key


def test_add_asks_at_a_terminal(run: Run, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda _prompt: SECRET)

    assert run("add", "shop", typed=f" {APP_ID}\n", terminal=True)[0] == 0
    assert stored(aws)["app_secret"] == SECRET


def test_add_waits_for_parameter_store(
    run: Run, refresher: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameter Store is consistent after a while: token_refresh may not see what was stored just now."""
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    refresher.unknown = 2

    assert add(run)[0] == 0
    assert (len(refresher.asked), pauses) == (3, [1.0, 2.0])


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_add_ends_at_the_secret(
    run: Run, aws: Aws, monkeypatch: pytest.MonkeyPatch, end: type[BaseException]
) -> None:
    """By Ctrl-D as by Ctrl-C."""

    def getpass(_prompt: str) -> str:
        raise end

    monkeypatch.setattr("getpass.getpass", getpass)

    assert run("add", "shop", "--app-id", APP_ID, terminal=True)[0] == 130
    assert aws("ssm").describe_parameters()["Parameters"] == []


def test_add_refuses_to_overwrite(run: Run, aws: Aws, put: Put) -> None:
    put("shop/credentials", '{"app_id": "wxold"}')
    code, _, err = add(run)

    assert code == 1
    assert "wxn account add shop --replace" in err
    assert stored(aws) == {"app_id": "wxold"}


def test_replace_keeps_the_app_id(run: Run, aws: Aws, put: Put) -> None:
    put("shop/credentials", json.dumps({"type": "app", "app_id": APP_ID, "app_secret": "old"}))

    assert run("add", "shop", "--replace", "--secret-stdin", typed=SECRET)[0] == 0
    assert stored(aws) == {"type": "app", "app_id": APP_ID, "app_secret": SECRET}


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (["Shop", "--app-id", APP_ID, "--secret-stdin"], SECRET, "No account can be named 'Shop'"),
        (["shop", "--app-id", SECRET, "--secret-stdin"], SECRET, "The app id has the form of an app secret"),
        (["shop", "--app-id", APP_ID, "--secret-stdin"], "\n", "This is no AppSecret"),
        (["shop", "--app-id", APP_ID, "--secret-stdin"], f"{SECRET} x", "This is no AppSecret"),
        (["shop", "--app-id", APP_ID, "--secret-stdin"], "x" * 200, "This is no AppSecret"),
        (["shop", "--app-id", "wx 1", "--secret-stdin"], SECRET, "This is no AppID"),
        (["shop", "--app-id", APP_ID], SECRET, "Repeat it with --secret-stdin"),
        (["shop", "--secret-stdin"], SECRET, "Repeat it with --app-id"),
    ],
)
def test_add_refuses_and_stores_nothing(
    run: Run, aws: Aws, *, arguments: list[str], typed: str, said: str
) -> None:
    code, _, err = run("add", *arguments, typed=typed)

    assert code == 2
    assert said in err
    assert aws("ssm").describe_parameters()["Parameters"] == []


@pytest.mark.parametrize(
    ("errcode", "error_class", "cause", "code", "said"),
    [
        (40125, "config", "wrong_secret", 1, "the app secret is wrong"),
        (40001, "token", "wrong_secret", 1, "the app secret is wrong"),
        (40243, "config", "secret_frozen", 1, "the app secret is frozen"),
        (40013, "config", "wrong_app_id", 1, "the app id is wrong"),
        (50004, "banned", "no_permission", 1, "may not have a token"),
        (-1, "transient", "transient", 4, "at the moment"),
        (49999, "other", "unknown", 1, "Do it."),
        (None, "config", "unknown", 1, "Do it."),
    ],
)
def test_check_names_the_cause(
    run: Run,
    refresher: Refresher,
    *,
    errcode: int | None,
    error_class: str,
    cause: str,
    code: int,
    said: str,
) -> None:
    refresher.fails(errcode, error_class)
    ended, out, err = run("check", "shop")

    assert (ended, out) == (code, "")
    assert said in err
    assert "wxn account check shop" in err
    assert json.loads(run("check", "shop", "--json")[1])["cause"] == cause


@pytest.mark.parametrize(
    ("errcode", "errmsg"),
    [
        (40164, "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist rid: 1"),
        (61004, "access clientip is not registered requestIP: 203.0.113.9 rid: 1"),
    ],
)
def test_check_names_the_address(run: Run, refresher: Refresher, errcode: int, errmsg: str) -> None:
    """That of an account's own whitelist, or of its third-party platform's."""
    refresher.fails(errcode, errmsg=errmsg)
    code, _, err = run("check", "shop")

    assert code == 1
    assert "WeChat sees the address 203.0.113.9" in err
    assert f"wxn explain {errcode}" in err
    assert json.loads(run("check", "shop", "--json")[1])["address"] == "203.0.113.9"


def test_check_of_unknown_account(run: Run, refresher: Refresher) -> None:
    refresher.answer = {"result": "unknown_account"}

    assert "There is no account shop." in run("check", "shop")[2]


def test_check_when_refresh_fails(run: Run, refresher: Refresher) -> None:
    refresher.error = {"FunctionError": "Unhandled"}
    code, _, err = run("check", "shop")

    assert code == 4
    assert "wxn tail --function token_refresh" in err


def test_list_shows_no_secret(run: Run, put: Put) -> None:
    token = {"value": "TOKEN-VALUE", "obtained_at": time.time() - 7200, "expires_at": time.time() + 6600}
    put("shop/credentials", json.dumps({"type": "app", "app_id": APP_ID, "app_secret": SECRET}))
    put("shop/access-token", json.dumps(token))
    put("broken/credentials", "no JSON")
    put("half/access-token", json.dumps(token | {"expires_at": 1.0}))
    code, out, _ = run("list")
    rows = [" ".join(line.split()) for line in out.splitlines()[2:]]

    assert code == 0
    assert rows == [
        "broken credentials cannot be read none",
        "half no credentials expired 2 h",
        f"shop {APP_ID} app good 2 h off",
    ]
    assert "TOKEN-VALUE" not in out + run("list", "--json")[1]


def schedule(aws: Aws, name: str) -> None:
    target = {"Arn": "arn:aws:sqs:eu-central-1:1:q", "RoleArn": "arn:aws:iam::1:role/r"}
    aws("scheduler").create_schedule(
        Name=name,
        GroupName="group",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )


def test_remove_tells_what_stays(run: Run, aws: Aws, put: Put) -> None:
    for name in ("shop", "shop-2"):
        put(f"{name}/credentials", "{}")
        put(f"{name}/access-token", "{}")
        put(f"{name}/callback", "{}")
        schedule(aws, f"{name}.weekly")
    code, out, err = run("remove", "shop", typed="shop\n", terminal=True)
    left = {parameter["Name"] for parameter in aws("ssm").describe_parameters()["Parameters"]}

    assert (code, out) == (0, "shop is removed.\n")
    assert "go on firing: weekly." in err
    assert left == {f"{PATH}/shop-2/{name}" for name in ("credentials", "access-token", "callback")}


@pytest.mark.parametrize(
    ("typed", "terminal", "code"), [("yes\n", True, 1), ("", True, 130), ("shop\n", False, 2)]
)
def test_remove_needs_the_name(run: Run, put: Put, *, typed: str, terminal: bool, code: int) -> None:
    put("shop/credentials", "{}")

    assert run("remove", "shop", typed=typed, terminal=terminal)[0] == code
    assert "shop" in run("list")[1]


def test_remove_of_unknown_account(run: Run) -> None:
    assert run("remove", "shop", "--yes")[0] == 1


# The policy on consents


def policy_of(run: Run, name: str = "shop") -> Any:
    listed = json.loads(run("list", "--json")[1])["accounts"]
    return next(each["consents"] for each in listed if each["name"] == name)


def test_policy_on_consents(run: Run, aws: Aws) -> None:
    add(run)
    assert policy_of(run) == "off"
    code, out, err = run("consents", "shop", "enforce")
    assert (code, out) == (0, "shop: enforce (was off). Live within 6 minutes.\n")
    assert "warn for a while" in err
    assert stored(aws) == {"type": "app", "app_id": APP_ID, "app_secret": SECRET, "consents": "enforce"}
    assert policy_of(run) == "enforce"
    assert add(run, "--replace")[0] == 0  # a new secret changes no policy
    assert policy_of(run) == "enforce"
    code, out, _ = run("consents", "shop", "off", "--json")
    assert json.loads(out) == {"account": "shop", "consents": "off", "before": "enforce"}
    assert stored(aws) == {"type": "app", "app_id": APP_ID, "app_secret": SECRET}


def test_policy_of_those_that_have_none(run: Run, put: Put) -> None:
    put("merchant/credentials", json.dumps({"type": "authorizer", "component": "p", "app_id": "wxm"}))
    code, _, err = run("consents", "merchant", "warn")
    assert (code, "wxn account consents p" in err) == (1, True)
    assert policy_of(run, "merchant") is None
    code, _, err = run("consents", "shop", "warn")
    assert (code, "There is no account shop" in err) == (1, True)
    assert run("consents", "shop", "always")[0] == 2
