"""``wxn account``: add, list, check and remove WeChat accounts."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wxn import accounts
from wxn.accounts import Accounts, Cause, Checked, Policy, StoredAccount
from wxn.api import hint_of
from wxn.errors import CommandError, ExitCode
from wxn.explanations import by_code
from wxn.language import text
from wxn.options import Yes
from wxn.output import print_table
from wxn.questions import asked, asked_secretly, confirm_by_name, require_terminal
from wxn.run import Run, command
from wxn.times import duration

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="account",
    help=text("Add, list, check and remove WeChat accounts.", "添加、查看、检查和移除微信账号。"),
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help=text("The account's name.", "账号名。"))]


@command(
    app,
    help=text(
        "Store an account's app id and secret, and check them at WeChat.",
        "保存账号的 AppID 和 AppSecret，并向微信验证。",
    ),
)
def add(
    run: Run,
    name: Name,
    app_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help=text(
                "The app id; asked for by default, with --replace the stored one.",
                "AppID，不填则提示输入；与 --replace 一起使用时默认沿用已保存的。",
            ),
        ),
    ] = None,
    secret_stdin: Annotated[
        bool,
        typer.Option(
            "--secret-stdin",
            help=text("Read the app secret from standard input.", "从标准输入读取 AppSecret。"),
        ),
    ] = False,
    component: Annotated[
        bool,
        typer.Option(
            "--component",
            help=text("It is a third-party platform.", "该账号是第三方平台。"),
        ),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help=text("Replace stored credentials: a new secret.", "覆盖已保存的凭证（更换密钥）。"),
        ),
    ] = False,
) -> None:
    """Store credentials and check them; the document of ``--json`` is that of ``check``."""
    accounts.require_name(name)
    stored = Accounts(run.stack)
    existing = stored.one(name)
    if existing is not None and existing.has_credentials and not replace:
        raise accounts.exists(name)
    if existing is not None and existing.type == "authorizer":
        raise accounts.of_merchant(name)
    kind = "component" if component else "app"
    if replace and existing is not None:
        app_id = app_id or existing.app_id
        kind = existing.type or kind
    if app_id is None:
        require_terminal("--app-id", "--secret-stdin")
        app_id = asked(run.output, text("The account's AppID (wx…)", "账号的 AppID（wx 开头）"))
    app_id = accounts.checked_app_id(app_id)
    secret = accounts.checked_secret(_secret(read_stdin=secret_stdin))
    for part in accounts.unusual(app_id, secret):
        run.output.note(
            text(
                f"This {part} has another form than WeChat's usually have.",
                f"该 {part} 与常见格式不同，请留意。",
            )
        )
    stored.store(name, app_id, secret, kind=kind, replace=replace)
    run.output.note(
        text(f"Stored for {name}. WeChat is asked for a token.", f"已保存 {name} 的凭证，正在向微信验证。")
    )
    _tell(run, stored.check(name, is_new=True))


def _secret(*, read_stdin: bool) -> str:
    if read_stdin:
        return sys.stdin.readline()
    require_terminal("--secret-stdin")
    return asked_secretly(text("AppSecret (not shown): ", "AppSecret（不显示）："))


@command(
    app,
    "list",
    help=text("List the accounts, and how old their tokens are.", "列出账号和 token 的存续时间。"),
)
def list_accounts(run: Run) -> None:
    """List the accounts.

    With ``--json``: ``accounts``, each with ``name``, ``app_id`` (null where the credentials are missing or
    cannot be read), ``has_credentials``, ``type`` (app, component or authorizer), ``component`` (a merchant's
    platform) and ``revoked``, ``consents`` (the policy; null of a merchant, who has the platform's), ``token_age`` and ``token_expires_in`` (seconds; null without a token).
    """
    now = time.time()
    found = [_told(account, now) for account in Accounts(run.stack).all()]

    def render(console: Console) -> None:
        if not found:
            console.print(
                text("There is no account: wxn account add NAME", "还没有账号，请用 wxn account add 添加。")
            )
            return
        columns = (
            text("Account", "账号"),
            "AppID",
            text("Type", "类型"),
            text("Token", "token"),
            text("Token age", "token 已使用"),
            text("Consents", "授权策略"),
        )
        print_table(console, columns, [_row(each) for each in found])

    run.output.show({"accounts": found}, render)


def _told(account: StoredAccount, now: float) -> dict[str, Any]:
    age = None if account.obtained_at is None else max(0, round(now - account.obtained_at))
    left = None if account.expires_at is None else round(account.expires_at - now)
    return {
        "name": account.name,
        "app_id": account.app_id,
        "has_credentials": account.has_credentials,
        "type": account.type,
        "component": account.component,
        "revoked": account.revoked,
        "consents": account.consents,
        "token_age": age,
        "token_expires_in": left,
    }


def _row(account: dict[str, Any]) -> tuple[object, ...]:
    app_id = account["app_id"]
    if app_id is None:
        app_id = (
            text("credentials cannot be read", "凭证无法解析")
            if account["has_credentials"]
            else text("no credentials", "没有凭证")
        )
    left, age = account["token_expires_in"], account["token_age"]
    if left is None:
        token = text("none", "无")
    else:
        token = text("good", "有效") if left > 0 else text("expired", "已过期")
    return (
        account["name"],
        app_id,
        _type(account),
        token,
        None if age is None else duration(age),
        account["consents"],
    )


def _type(account: dict[str, Any]) -> str | None:
    kind: str | None = account["type"]
    match kind:
        case "component":
            return text("platform", "第三方平台")
        case "authorizer":
            of = account["component"]
            told = text(f"merchant of {of}", f"{of} 的授权账号")
            return told + (text(", revoked", "，已取消授权") if account["revoked"] else "")
    return kind


@command(
    app,
    help=text(
        "Ask WeChat for a token, and tell what is wrong.", "向微信获取 token，检查凭证是否可用并指出问题。"
    ),
)
def check(run: Run, name: Name) -> None:
    """Check an account's credentials.

    With ``--json``: ``account``, ``accepted``; where WeChat gave a token ``token_stored``; otherwise ``cause``,
    ``address`` (not on the whitelist), token_refresh's ``class``, ``errcode``, ``errmsg``, ``rid`` and ``hint``,
    and ``explanation`` as ``wxn explain`` has it.
    """
    accounts.require_name(name)
    _tell(run, Accounts(run.stack).check(name))


def _tell(run: Run, checked: Checked) -> None:
    def render(console: Console) -> None:
        if checked.failure is None:
            console.print(
                text(
                    f"WeChat accepts the credentials of {checked.account}.",
                    f"{checked.account} 的凭证可用，微信已返回 token。",
                ),
                markup=False,
            )

    run.output.show(checked.as_json(), render)
    if checked.failure is not None:
        raise _reason(checked, checked.failure)
    if not checked.is_stored:
        run.output.note(
            text(
                "The token could not be stored in SSM; the next run, in 5 minutes, stores it.",
                "token 未能写入 SSM，5 分钟后的下一次刷新会再次写入。",
            )
        )


_CAUSES = {
    Cause.WRONG_SECRET: text("the app secret is wrong, or was reset", "AppSecret 错误或已被重置"),
    Cause.SECRET_FROZEN: text("the app secret is frozen", "AppSecret 已被冻结"),
    Cause.IP_NOT_WHITELISTED: text(
        "the address of token_refresh is not on the account's IP whitelist",
        "token_refresh 的出口 IP 不在账号的 IP 白名单中",
    ),
    Cause.WRONG_APP_ID: text("the app id is wrong", "AppID 错误"),
    Cause.NO_PERMISSION: text("the account may not have a token", "账号没有获取 access_token 的权限"),
    Cause.TRANSIENT: text("WeChat does not answer as it should at the moment", "微信暂时异常"),
    Cause.UNKNOWN: text("WeChat gives no token", "微信没有返回 access_token"),
}


def _reason(checked: Checked, failure: Any) -> CommandError:
    errcode = failure.get("errcode")
    explanation = by_code(errcode) if errcode else None
    cause = checked.cause or Cause.UNKNOWN
    named = text(f"{checked.account}: {_CAUSES[cause]}", f"{checked.account}：{_CAUSES[cause]}")
    if errcode:
        named += text(f" ({errcode})", f"（{errcode}）")
    lines = [named + text(".", "。")]
    if checked.address:
        lines.append(
            text(
                f"WeChat sees the address {checked.address}: add it to the whitelist.",
                f"微信看到的 IP 是 {checked.address}，请将其加入白名单。",
            )
        )
    if explanation:
        lines += explanation.what_to_do
    elif hint := hint_of(failure):
        lines.append(hint)
    again = text(
        f"then wxn account check {checked.account}", f"处理后执行 wxn account check {checked.account}"
    )
    more = (
        text(f"Read more: wxn explain {errcode}; ", f"了解详情：wxn explain {errcode}；")
        if explanation
        else ""
    )
    return CommandError(
        "\n  ".join(lines),
        f"{more}{again}",
        ExitCode.UNAVAILABLE if cause is Cause.TRANSIENT else ExitCode.FAILED,
    )


@command(
    app,
    help=text(
        "Set what becomes of a message whose receiver has no consent left.",
        "设置接收人没有可用授权时的处理策略。",
    ),
)
def consents(
    run: Run,
    name: Name,
    policy: Annotated[
        Policy,
        typer.Argument(
            help=text(
                "off: consents are only recorded. warn: the message is sent with a warning. enforce: it is refused.",
                "off 只记录授权、 warn 发送并警告、 enforce 拒绝发送。",
            )
        ),
    ],
) -> None:
    """Set an account's policy on consents; of a third-party platform, that of its merchants too.

    With ``--json``: ``account``, ``consents`` and ``before``.
    """
    accounts.require_name(name)
    before = Accounts(run.stack).set_consents(name, policy)

    def render(console: Console) -> None:
        told = text(
            f"{name}: {policy.value} (was {before}). Live within 6 minutes.",
            f"{name}：{policy.value}（原为 {before}），6 分钟内生效。",
        )
        console.print(told, markup=False)

    run.output.show({"account": name, "consents": policy.value, "before": before}, render)
    if policy is Policy.ENFORCE and before == Policy.OFF:
        run.output.note(
            text(
                "What was sent before is not counted: warn for a while first shows what would be refused.",
                "此前发送的消息未计入，建议先使用 warn 观察一段时间。",
            )
        )


@command(
    app,
    help=text(
        "Remove an account: its credentials, its token and its callback keys.",
        "移除账号的凭证、token 和回调密钥。",
    ),
)
def remove(
    run: Run,
    name: Name,
    yes: Yes = False,
) -> None:
    """Remove an account.

    With ``--json``: ``account``, ``deleted`` (parameters), ``schedules`` (names of those that still exist).
    """
    accounts.require_name(name)
    stored = Accounts(run.stack)
    if stored.one(name) is None:
        raise accounts.unknown(name)
    schedules = stored.schedules(name)
    for told in _what_stays(name, schedules):
        run.output.note(told)
    question = text(
        f"Type {name} to remove it from {run.stack.title}.", f"输入 {name} 以从{run.stack.title}移除该账号。"
    )
    declined = text("Nothing was removed.", "没有移除。")
    confirm_by_name(run.output, question, name, yes=yes, declined=declined)
    deleted = stored.delete(name)

    def render(console: Console) -> None:
        console.print(text(f"{name} is removed.", f"{name} 已移除。"), markup=False)

    run.output.show({"account": name, "deleted": deleted, "schedules": schedules}, render)


def _what_stays(name: str, schedules: list[str]) -> list[str]:
    told = [
        text(
            f"Messages of {name} that wait will fail (unknown_account); those that were sent can be looked up for "
            "as long as the ledger keeps them.",
            f"{name} 的待发消息将会失败（unknown_account）；已发送的消息在账本保留期内仍可查询。",
        )
    ]
    if schedules:
        names = ", ".join(schedules)
        told.append(
            text(
                f"These schedules stay, and go on firing: {names}. Delete them first.",
                f"以下定时任务仍会保留并继续触发，请先删除：{names}。",
            )
        )
    return told
