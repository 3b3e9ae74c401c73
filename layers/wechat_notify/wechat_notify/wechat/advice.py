# ruff: noqa: E501 - a table of sentences
"""The advice to people for each error code, in one sentence and two languages."""

from __future__ import annotations

from collections.abc import Mapping

from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.texts import Bilingual
from wechat_notify.wechat.error_codes import ABOUT_APPID, ErrorCode, RetryHint

_ADVICE: Mapping[RetryHint, Bilingual] = {
    RetryHint.NONE: Bilingual(
        "Nothing to do: WeChat accepted the call.",
        "无需处理，微信已受理。",
    ),
    RetryHint.NEVER: Bilingual(
        "Do not repeat the call; change what errmsg names first.",
        "不要重试，请先按 errmsg 的提示修改。",
    ),
    RetryHint.NEVER_BUT_TWICE: Bilingual(
        "WeChat answers this wrongly now and then: repeat it twice, then change what errmsg names.",
        "微信偶尔会误报此错误，可重试两次，仍失败再按 errmsg 的提示修改。",
    ),
    RetryHint.NEVER_DUPLICATE: Bilingual(
        "Treat the message as sent: WeChat has an earlier copy of it.",
        "视为已发送，微信已收到相同的消息。",
    ),
    RetryHint.BACKOFF: Bilingual(
        "Repeat with growing pauses.",
        "请逐步延长间隔后重试。",
    ),
    RetryHint.BACKOFF_CAPPED: Bilingual(
        "Repeat with growing pauses, a few times at most.",
        "请逐步延长间隔并限制重试次数。",
    ),
    RetryHint.BACKOFF_PER_OPENID: Bilingual(
        "Send less often to this openid and repeat later; other recipients may go on.",
        "请降低向该 openid 发送的频率并稍后重试，其他接收者不受影响。",
    ),
    RetryHint.SERIALISE_PER_OPENID: Bilingual(
        "Send to one openid one message at a time, then repeat.",
        "同一 openid 请逐条串行发送，然后重试。",
    ),
    RetryHint.NEXT_MINUTE: Bilingual(
        "Wait for the next minute, then repeat at a slower pace.",
        "请等到下一分钟再降低频率重试。",
    ),
    RetryHint.AFTER_60S: Bilingual(
        "Wait 60 seconds, then repeat.",
        "请等待 60 秒后重试。",
    ),
    RetryHint.AFTER_1H: Bilingual(
        "Stop all calls from this IP address for 1 hour, and have the administrator approve it.",
        "请停止从该 IP 地址调用 1 小时，并联系管理员确认。",
    ),
    RetryHint.AFTER_24H: Bilingual(
        "Stop all calls from this IP address for 24 hours, and have the administrator approve it.",
        "请停止从该 IP 地址调用 24 小时，并联系管理员确认。",
    ),
    RetryHint.NEXT_DAY_OR_CLEAR_QUOTA: Bilingual(
        "Stop this API for this account until the next day, or reset the count with clear_quota (10 a month).",
        "请停止该账号对此接口的调用至次日，或使用 clear_quota 清零（每月 10 次）。",
    ),
    RetryHint.NEXT_MONTH: Bilingual(
        "Wait for the next month.",
        "请等到下个月。",
    ),
    RetryHint.NEXT_PERIOD: Bilingual(
        "Stop sending until the quota is renewed; the account's back end shows how much is left.",
        "请停止发送直至配额恢复，可在账号后台查看剩余配额。",
    ),
    RetryHint.AFTER_TOKEN_REFRESH_ONCE: Bilingual(
        "If it stays after the token was refreshed and the call repeated, check that the stored credentials are of this account.",
        "若刷新 token 并重试后仍失败，请检查所存储的凭证是否属于该账号。",
    ),
    RetryHint.AFTER_COMPONENT_TOKEN_REFRESH: Bilingual(
        "If it stays after the component_access_token was replaced and the call repeated, check that the stored credentials are of this third-party platform.",
        "若更换 component_access_token 并重试后仍失败，请检查所存储的凭证是否属于该第三方平台。",
    ),
    RetryHint.AFTER_NEW_COMPONENT_TICKET: Bilingual(
        "Wait for WeChat's next component_verify_ticket (pushed every 10 minutes), then repeat.",
        "请等待微信推送新的 component_verify_ticket（每 10 分钟一次）后重试。",
    ),
    RetryHint.AFTER_REAUTHORIZATION: Bilingual(
        "Have the account's administrator authorize again with the permission sets that this API needs.",
        "请让账号管理员重新授权，并勾选该接口所需的权限集。",
    ),
    RetryHint.AFTER_USER_ACTION: Bilingual(
        "Stop sending to this user until they act: subscribe, follow, or write to the account again.",
        "请停止向该用户发送，直至用户重新订阅、关注或主动发起互动。",
    ),
    RetryHint.AFTER_CONFIG: Bilingual(
        "Change the account's settings first, then send again.",
        "请先修改账号设置，然后重新发送。",
    ),
    RetryHint.OTHER_DOMAIN: Bilingual(
        "Call api.weixin.qq.com, or the regional domain that this request belongs to.",
        "请改用 api.weixin.qq.com 或该请求对应的地区域名。",
    ),
    RetryHint.UNKNOWN: Bilingual(
        "Do not repeat; read errmsg and look the code up in WeChat's documentation.",
        "不要重试，请查看 errmsg 并在微信官方文档中查询该错误码。",
    ),
}

_OWN_TEMPLATE = Bilingual(
    "Take a template_id from this account's own list that is of the message kind you send.",
    "请使用该账号模板列表中与所发消息类型一致的 template_id。",
)

_ADVICE_BY_CLASS: Mapping[tuple[RetryHint, ErrorClass], Bilingual] = {
    (RetryHint.NEVER, ErrorClass.REQUEST): Bilingual(
        "Correct the request as errmsg says; the same request will fail again.",
        "请按 errmsg 的提示修改请求，原样重试仍会失败。",
    ),
    (RetryHint.NEVER, ErrorClass.CONFIG): Bilingual(
        "Correct the stored credentials (AppID, AppSecret) or the kind of token or caller that this API needs.",
        "请修正所配置的凭证（AppID、AppSecret），或改用该接口要求的 token 或调用方式。",
    ),
    (RetryHint.NEVER, ErrorClass.BANNED): Bilingual(
        "Stop sending with this account or template, and read the notice in its back end (mp.weixin.qq.com).",
        "请停止使用该账号或模板发送，并登录账号后台（mp.weixin.qq.com）查看违规通知。",
    ),
    (RetryHint.NEVER_BUT_TWICE, ErrorClass.TEMPLATE): _OWN_TEMPLATE,
    (RetryHint.NEVER, ErrorClass.TEMPLATE): _OWN_TEMPLATE,
    (RetryHint.NEVER, ErrorClass.PERMISSION): Bilingual(
        "Use an account of a kind that has this permission, or apply for it in the account's back end.",
        "请使用具备该权限的账号类型，或在账号后台申请权限。",
    ),
    (RetryHint.NEVER, ErrorClass.RECIPIENT): Bilingual(
        "Correct or drop this recipient: an openid is valid only for the account it was obtained from.",
        "请更正或移除该接收者，openid 仅对获取它的账号有效。",
    ),
    (RetryHint.NEVER, ErrorClass.DEPRECATED): Bilingual(
        "Stop calling this API and use its successor, the subscription messages.",
        "请停止调用该接口，改用订阅消息。",
    ),
    (RetryHint.NEVER, ErrorClass.QUOTA): Bilingual(
        "Delete what is no longer needed, then try again.",
        "请先删除不再需要的项目，然后重试。",
    ),
    (RetryHint.NEVER, ErrorClass.DUPLICATE): Bilingual(
        "Use the one that exists instead of adding another.",
        "请直接使用已存在的项目，无需重复添加。",
    ),
    (RetryHint.BACKOFF, ErrorClass.QUOTA): Bilingual(
        "Spread the calls over a longer time, and send this message again later.",
        "请将调用分散到更长时间，稍后重新发送该消息。",
    ),
    (RetryHint.AFTER_CONFIG, ErrorClass.CONFIG): Bilingual(
        "Correct the setting in the account's back end (IP whitelist, AppSecret, API security, administrator's approval), then send again.",
        "请在账号后台修正设置（IP 白名单、AppSecret、API 安全、管理员确认），然后重新发送。",
    ),
    (RetryHint.AFTER_CONFIG, ErrorClass.PERMISSION): Bilingual(
        "Apply for this API in the account's back end, or use an account of a kind that has it, then send again.",
        "请在账号后台申请该接口权限，或改用具备该权限的账号类型，然后重新发送。",
    ),
    (RetryHint.AFTER_CONFIG, ErrorClass.QUOTA): Bilingual(
        "Delete a template that is no longer needed, then try again.",
        "请先删除不再需要的模板，然后重试。",
    ),
    (RetryHint.AFTER_CONFIG, ErrorClass.RECIPIENT): Bilingual(
        "Take the user off the account's blacklist, or drop the recipient.",
        "请将该用户移出账号黑名单，或移除该接收者。",
    ),
}

_USER_AUTHORIZATION = Bilingual(
    "Have the user, or the account's administrator, authorize again.",
    "请让用户或账号管理员重新授权。",
)
_ANOTHER_FORM_ID = Bilingual(
    "Use another form_id of this user that is valid and unused.",
    "请使用该用户其他有效且未用过的 form_id。",
)
_TEMPLATE_MANAGEMENT_BANNED = Bilingual(
    "Stop adding templates to this account, and read the notice in its back end (mp.weixin.qq.com).",
    "请停止为该账号添加模板，并登录账号后台（mp.weixin.qq.com）查看违规通知。",
)
_APPROVAL = Bilingual(
    "Have the administrator approve the calls from this IP address, then send again.",
    "请联系管理员确认该 IP 地址的调用，然后重新发送。",
)
_API_SECURITY = Bilingual(
    "Switch API security off in the account's back end: this service neither signs nor encrypts its calls.",
    "请在账号后台关闭 API 安全，本服务的请求不带签名也不加密。",
)
# Codes that name something else than the others of their hint and class.
_ADVICE_BY_CODE: Mapping[int, Bilingual] = {
    -604101: Bilingual(
        "Add the API to permissions.openapi in the cloud function's config.json and deploy it again.",
        "请在云函数 config.json 的 permissions.openapi 中添加该接口并重新部署。",
    ),
    -604100: Bilingual("Update the SDK and check the API's name.", "请升级 SDK 并检查接口名。"),
    -504002: Bilingual(
        "Check that the cloud function exists and read its log.", "请检查云函数是否存在并查看其日志。"
    ),
    -1: Bilingual(
        "Repeat with growing pauses, a few times at most; if it stays, check the template_id and its message kind.",
        "请逐步延长间隔并限制重试次数，若仍失败，请检查 template_id 及其消息类型。",
    ),
    40034: Bilingual("Correct the template in the account's back end.", "请在账号后台修改该模板。"),
    40164: Bilingual(
        "Add this IP address to the account's IP whitelist (mp.weixin.qq.com), then send again.",
        "请将该 IP 地址加入账号的 IP 白名单（mp.weixin.qq.com），然后重新发送。",
    ),
    40090: Bilingual(
        "Check the IP whitelist in the account's back end, then send again.",
        "请检查账号后台的 IP 白名单，然后重新发送。",
    ),
    40234: _API_SECURITY,
    40235: _API_SECURITY,
    40243: Bilingual(
        "Unfreeze the AppSecret in the account's back end, then send again.",
        "请在账号后台解冻 AppSecret，然后重新发送。",
    ),
    40246: Bilingual(
        "Name keywords of the template library in keyword_name_list.",
        "请在 keyword_name_list 中填写模板库内的关键词。",
    ),
    40247: Bilingual("Use an id of the category template library.", "请使用类目模板库的模板 ID。"),
    # The service always passes it, so something on the way to WeChat dropped it.
    41001: Bilingual(
        "Check that WeChatApiBase leads to WeChat without a proxy that drops the query string.",
        "请检查 WeChatApiBase 与微信之间是否有代理丢弃了 URL 查询参数。",
    ),
    41021: Bilingual(
        "Change token_parameter in the platform's credentials: component_access_token, the default, or access_token.",
        "请修改第三方平台凭证中的 token_parameter：component_access_token（默认）或 access_token。",
    ),
    41028: _ANOTHER_FORM_ID,
    41029: _ANOTHER_FORM_ID,
    41031: _ANOTHER_FORM_ID,
    42002: _USER_AUTHORIZATION,
    42007: _USER_AUTHORIZATION,
    43106: _TEMPLATE_MANAGEMENT_BANNED,
    45027: Bilingual(
        "Use a template of the account's industry, or change the industry in the account's back end.",
        "请使用与账号所属行业相符的模板，或在账号后台修改行业。",
    ),
    45028: Bilingual("Wait until the account's mass-send quota is renewed.", "请等待账号的群发配额恢复。"),
    45501: Bilingual(
        "Stop sending for this account for a minute, then go on at a slower pace.",
        "请暂停该账号的发送一分钟，再降低频率继续。",
    ),
    46004: Bilingual("Drop this recipient.", "请移除该接收者。"),
    48006: Bilingual(
        "Wait for the next month; resets in the account's back end count as well.",
        "请等到下个月，在账号后台清零也计入次数。",
    ),
    50001: Bilingual("Have the user or the account authorize this API.", "请让用户或账号授权该接口。"),
    50002: Bilingual(
        "Check whether the user or the account is frozen, cancelled or migrating before you send again.",
        "请先确认该用户或账号是否被冻结、注销或迁移，再重新发送。",
    ),
    50003: Bilingual(
        "Check whether this recipient has to be on a whitelist.", "请检查该接收者是否需要加入白名单。"
    ),
    61004: Bilingual(
        "Add this IP address to the third-party platform's IP whitelist, then send again.",
        "请将该 IP 地址加入第三方平台的 IP 白名单，然后重新发送。",
    ),
    61024: Bilingual(
        'Store the credentials with "type": "component", as a third-party platform.',
        "请将凭证的 type 改为 component，按第三方平台存储。",
    ),
    61016: Bilingual(
        "Confirm the permission set on the third-party platform, then send again.",
        "请在第三方平台确认该权限集，然后重新发送。",
    ),
    61028: Bilingual(
        "Publish the third-party platform, then send again.", "请先发布第三方平台，然后重新发送。"
    ),
    76003: Bilingual("Ask with the token of the account of the rid.", "请使用该 rid 所属账号的 token 查询。"),
    85107: Bilingual(
        "Add the API's path to the whitelist of the environment.", "请将该接口路径加入该环境的白名单。"
    ),
    85112: Bilingual(
        "Read errmsg, and check the open-interface service of the environment.",
        "请查看 errmsg，并检查该环境的开放接口服务。",
    ),
    89501: _APPROVAL,
    89502: _APPROVAL,
    89503: _APPROVAL,
    89504: _APPROVAL,
    89505: _APPROVAL,
    200011: _TEMPLATE_MANAGEMENT_BANNED,
}
_MINI_PROGRAM_OF_THE_MESSAGE = Bilingual(
    "Correct the appid of the mini program that the message opens: it must be linked to this account.",
    "请修正消息所跳转的小程序 appid，该小程序须与此账号关联。",
)


def advice(code: ErrorCode, kind: str = "") -> Bilingual:
    """Return the advice for a code, in one sentence: by the code, or by its retry hint and class.

    ``kind`` is that of the message, empty where a token was asked for.
    """
    if code.code in ABOUT_APPID and kind:
        return _MINI_PROGRAM_OF_THE_MESSAGE
    refined = _ADVICE_BY_CLASS.get((code.retry_hint, code.error_class), _ADVICE[code.retry_hint])
    return _ADVICE_BY_CODE.get(code.code, refined)
