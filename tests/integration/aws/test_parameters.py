"""Accounts and tokens in SSM."""

import json
from collections.abc import Callable

import pytest

from tests.integration.conftest import PATH, ClientsAt
from tests.integration.contracts.samples import TOKEN, Aws, Source
from wechat_notify.aws.clients import Clients
from wechat_notify.aws.parameters import AccountNames, Accounts, AppCredentials, StoredTokens
from wechat_notify.core.errors import UnknownAccountError

Put = Callable[[str, str], None]


def app(app_id: str) -> str:
    return json.dumps({"type": "app", "app_id": app_id, "app_secret": f"secret of {app_id}"})


@pytest.fixture
def accounts(clients: Clients) -> Accounts:
    return Accounts(clients, PATH, Source)


def test_saved_token_is_encrypted(aws: Aws, accounts: Accounts) -> None:
    accounts.save("shop", TOKEN)
    assert aws("ssm").get_parameter(Name=f"{PATH}/shop/access-token")["Parameter"]["Type"] == "SecureString"


def test_saved_token_is_encrypted_with_the_given_key(aws: Aws, clients_at: ClientsAt) -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/1"
    Accounts(clients_at(None, parameter_key=key), PATH, Source).save("shop", TOKEN)
    (parameter,) = aws("ssm").describe_parameters()["Parameters"]
    assert parameter["KeyId"] == key


@pytest.mark.parametrize("value", ["57_token", "[]", '{"value": "t"}'])
def test_unreadable_stored_token_is_none(clients: Clients, accounts: Accounts, put: Put, value: str) -> None:
    put("shop/access-token", value)
    put("shop/credentials", app("wxshop"))
    assert StoredTokens(clients, PATH).read("shop") is None
    account = accounts.load("shop")
    assert account.token is None
    assert account.source


def test_account_has_credentials_and_token(accounts: Accounts, put: Put) -> None:
    put("shop/credentials", ' {"type": "app", "app_id": " wxshop\\n", "app_secret": " s3cret\\n"} ')
    accounts.save("shop", TOKEN)
    account = accounts.load("shop")
    assert (account.name, account.token, account.problem) == ("shop", TOKEN, None)
    assert isinstance(account.source, Source)
    credentials = account.source.credentials
    assert isinstance(credentials, AppCredentials)
    assert (credentials.app_id, credentials.app_secret) == ("wxshop", "s3cret")


@pytest.mark.parametrize("name", ["Shop", "a/b"])
def test_invalid_name_is_not_requested(clients_at: ClientsAt, name: str) -> None:
    with pytest.raises(UnknownAccountError):
        Accounts(clients_at("http://127.0.0.1:9"), PATH, Source).load(name)


def test_other_parameters_are_ignored(aws: Aws, accounts: Accounts, put: Put) -> None:
    put("shop/credentials", app("wxshop"))
    put("shop/notes", "call the agency")
    put("shop/old/credentials", "deeper")
    put("only-a-token/access-token", "{}")
    put("credentials", "at the top")
    aws("ssm").put_parameter(Name=f"{PATH}-of-another/x/credentials", Value=app("wxx"), Type="SecureString")
    assert [account.name for account in accounts.load_all()] == ["shop"]


def test_names_are_listed_without_values(aws: Aws, clients: Clients, put: Put) -> None:
    """Over pages, and of this stage alone."""
    for number in range(60):
        put(f"shop-{number:02}/access-token", "{}")
        put(f"shop-{number:02}/credentials", app("wxshop"))
    put("new/credentials", app("wxnew"))
    put("My_Shop/access-token", "{}")
    put("shop/old/access-token", "{}")
    aws("ssm").put_parameter(Name=f"{PATH}-of-another/x/access-token", Value="{}", Type="SecureString")
    names = AccountNames(clients, PATH).with_token()
    assert names == [f"shop-{number:02}" for number in range(60)]


APP = '{"type": "app", "app_id", "app_secret"}'
COMPONENT = '{"type": "component", "app_id", "app_secret"}'
AUTHORIZER = '{"type": "authorizer", "component", "app_id"}'
ANY = f"{APP} or {COMPONENT} or {AUTHORIZER}"


@pytest.mark.parametrize(
    ("credentials", "named"),
    [
        ("wxshop", f"{ANY}; wrong: JSON"),
        ('{"type": "App", "app_id": "a", "app_secret": "s"}', f"{ANY}; wrong: type"),
        ('{"app_id": "a", "app_secret": "s"}', f"{ANY}; wrong: type"),
        ('{"type": "app", "app_id": "a", "app_secret": " "}', f"{APP}; wrong: app_secret"),
        ('{"type": "app", "app_id": 5}', f"{APP}; wrong: app_id, app_secret"),
        (
            '{"type": "app", "app_id": "a", "app_secret": "s", "token": "t"}',
            f"{APP}; wrong: an unknown field",
        ),
        ('{"type": "component", "app_id": "a"}', f"{COMPONENT}; wrong: app_secret"),
        ('{"type": "authorizer", "component": "A", "app_id": "a"}', f"{AUTHORIZER}; wrong: component"),
    ],
)
def test_invalid_credentials_concern_one_account(
    accounts: Accounts, put: Put, credentials: str, named: str
) -> None:
    put("broken/credentials", credentials)
    put("shop/credentials", app("wxshop"))
    by_name = {account.name: account for account in accounts.load_all()}
    assert by_name["shop"].source
    assert by_name["broken"] == accounts.load("broken")
    assert by_name["broken"].source is None
    problem = by_name["broken"].problem
    assert problem is not None
    assert problem.en == f"must be {named}"


def test_invalid_name_is_listed_with_problem(accounts: Accounts, put: Put) -> None:
    put("My_Shop/credentials", app("wxshop"))
    (account,) = accounts.load_all()
    assert account.source is None
    assert "a-z, 0-9 and -" in str(account.problem)


def test_policy_on_consents(accounts: Accounts, put: Put) -> None:
    """A merchant has its platform's; without one, or with one that cannot be read, it is off."""
    secrets = {"app_id": "wx1", "app_secret": "s3cret"}
    put("shop", "not a parameter of an account")
    put("off/credentials", app("wxoff"))
    put("shop/credentials", json.dumps({"type": "app", **secrets, "consents": "warn"}))
    put("platform/credentials", json.dumps({"type": "component", **secrets, "consents": "enforce"}))
    for name, component in (("merchant", "platform"), ("orphan", "gone"), ("odd", "shop")):
        merchant = {"type": "authorizer", "component": component, "app_id": f"wx-{name}"}
        put(f"{name}/credentials", json.dumps(merchant))
    put("wrong/credentials", json.dumps({"type": "app", **secrets, "consents": "always"}))
    wanted = {
        "off": (None, "wxoff"),
        "shop": ("warn", "wx1"),
        "platform": ("enforce", "wx1"),
        "merchant": ("enforce", "wx-merchant"),
        "orphan": (None, "wx-orphan"),
        "odd": ("warn", "wx-odd"),
        "wrong": (None, None),
    }
    listed = {account.name: (account.consents, account.app_id) for account in accounts.load_all()}
    assert listed == wanted
    assert {name: (accounts.load(name).consents, accounts.load(name).app_id) for name in wanted} == wanted
    assert "consents" in str(accounts.load("wrong").problem)
