# ruff: noqa: E501 - one row a code: a table is read down its columns
"""The one table of WeChat's error codes: code -> class -> what to do.

It holds the codes that a sender can meet: sends, tokens, third-party platforms, template management,
quotas and Cloud Call. Names and texts are our own; the classes follow WeChat's documentation and, where
that is silent (40241 and 43117 on template/send, for two), field reports.

Where WeChat's own lists mislead:

* 40001 means a wrong AppSecret on the token endpoints: only a caller who knows which endpoint
  answered can tell, so the row holds what it means on a send.
* 20002 is "product id does not exist" in the global list, a parameter error in template management.
* 61004's Chinese text in the global list is that of 48001; 40125's speaks of the AppID. Both are
  corrected here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.texts import Bilingual


class RetryHint(StrEnum):
    """The condition under which a repeat of the same call can work."""

    NONE = "none"
    NEVER = "never"
    NEVER_BUT_TWICE = "never_but_twice"
    NEVER_DUPLICATE = "never_duplicate"
    BACKOFF = "backoff"
    BACKOFF_CAPPED = "backoff_capped"
    BACKOFF_PER_OPENID = "backoff_per_openid"
    SERIALISE_PER_OPENID = "serialise_per_openid"
    NEXT_MINUTE = "next_minute"
    AFTER_60S = "after_60s"
    AFTER_1H = "after_1h"
    AFTER_24H = "after_24h"
    NEXT_DAY_OR_CLEAR_QUOTA = "next_day_or_clear_quota"
    NEXT_MONTH = "next_month"
    NEXT_PERIOD = "next_period"
    AFTER_TOKEN_REFRESH_ONCE = "after_token_refresh_once"  # noqa: S105 # nosec B105 # a hint, not a token
    AFTER_COMPONENT_TOKEN_REFRESH = "after_component_token_refresh"  # noqa: S105 # nosec B105 # the same
    AFTER_NEW_COMPONENT_TICKET = "after_new_component_ticket"
    AFTER_REAUTHORIZATION = "after_reauthorization"
    AFTER_USER_ACTION = "after_user_action"
    AFTER_CONFIG = "after_config"
    OTHER_DOMAIN = "other_domain"
    UNKNOWN = "unknown"


# A named tuple: its class and rows are built in a fifth of the time that a frozen dataclass takes, and a
# cold start pays for it.
class ErrorCode(NamedTuple):
    """One row of the table.

    `retryable` says that a plain later repeat by the system itself can work; what first needs a person, a
    user or a new day is not retryable and says so in `retry_hint`.
    """

    code: int
    name: str
    error_class: ErrorClass
    retryable: bool
    retry_hint: RetryHint
    meaning: Bilingual


# Plain constants: they come out of the .pyc ready made, and the enums check them on import.
# fmt: off
_ROWS: tuple[tuple[int, str, str, bool, str, str, str], ...] = (
    # code    name                                class         retry  hint                             English Chinese
    (-604104, "CLOUD_ILLEGAL_SOURCE",             "config",     False, "never",                         "cloud call: this source may not call the API", "云调用：调用来源不被允许"),
    (-604101, "CLOUD_FUNCTION_NO_PERMISSION",     "config",     False, "after_config",                  "cloud call: the function lacks this API in config.json permissions.openapi", "云调用：云函数无权限调用此接口（config.json 的 permissions.openapi）"),
    (-604100, "CLOUD_API_NOT_FOUND",              "config",     False, "after_config",                  "cloud call: API not found (SDK too old or wrong name)", "云调用：接口不存在（SDK 版本过旧或接口名错误）"),
    (-504002, "CLOUD_FUNCTION_ERROR",             "config",     False, "never",                         "cloud function not found or its execution failed", "云函数不存在或执行失败"),
    (-501007, "CLOUD_INVALID_PARAM",              "request",    False, "never",                         "cloud call: invalid request parameter", "云调用：请求参数不合法"),
    (  -1000, "SYSTEM_ERROR",                     "transient",  True,  "backoff",                       "platform system error", "平台系统错误"),
    (     -1, "SYSTEM_BUSY",                      "transient",  True,  "backoff_capped",                "system busy (on template/subscribe also a template id of the wrong message kind)", "系统繁忙（在 template/subscribe 上也可能是模板 ID 的消息类型不对）"),
    (      0, "OK",                               "success",    False, "none",                          "success", "请求成功"),
    (    404, "NOT_FOUND",                        "request",    False, "never",                         "HTTP method or path wrong (often GET and POST mixed up)", "HTTP 请求方法或路径错误（常见于 GET、POST 混用）"),
    (  20001, "TEMPLATE_MGMT_SYSTEM_ERROR",       "transient",  True,  "backoff",                       "system error of template management", "模板管理系统错误"),
    (  20002, "TEMPLATE_MGMT_PARAM_ERROR",        "request",    False, "never",                         "parameter error of template management (elsewhere: product id does not exist)", "模板管理参数错误（在其他接口上表示商品 ID 不存在）"),
    (  40001, "INVALID_CREDENTIAL",               "token",      True,  "after_token_refresh_once",      "access_token invalid or not the newest (on the token endpoints: AppSecret wrong)", "access_token 无效或不是最新的（在获取 token 接口上表示 AppSecret 错误）"),
    (  40002, "INVALID_GRANT_TYPE",               "config",     False, "never",                         "grant_type is not valid for this endpoint", "不合法的凭证类型（grant_type 错误）"),
    (  40003, "INVALID_OPENID",                   "recipient",  False, "never",                         "openid malformed, or of another account", "不合法的 OpenID（格式错误或属于其他账号）"),
    (  40008, "INVALID_MESSAGE_TYPE",             "request",    False, "never",                         "message type not valid", "不合法的消息类型"),
    (  40013, "INVALID_APPID",                    "config",     False, "never",                         "AppID wrong", "不合法的 AppID"),
    (  40014, "INVALID_ACCESS_TOKEN",             "token",      True,  "after_token_refresh_once",      "access_token malformed or of another account", "不合法的 access_token（格式损坏或属于其他账号）"),
    (  40033, "INVALID_CHARSET",                  "request",    False, "never",                         "body contains \\uXXXX escapes", "不合法的请求字符，不能包含 \\uXXXX 格式的字符"),
    (  40034, "INVALID_TEMPLATE_SIZE",            "template",   False, "never",                         "template size not valid", "不合法的模板大小"),
    (  40035, "INVALID_ARGS",                     "request",    False, "never",                         "parameter not valid", "不合法的参数"),
    (  40036, "INVALID_TEMPLATE_ID_SIZE",         "template",   False, "never",                         "template_id of wrong length (often the key is missing or misspelled)", "不合法的 template_id 长度（常见于字段缺失或拼写错误）"),
    (  40037, "INVALID_TEMPLATE_ID",              "template",   False, "never_but_twice",               "template_id not of this account, deleted, or of another message kind", "不合法的 template_id（不属于该账号、已删除或消息类型不符）"),
    (  40038, "INVALID_PACKAGING",                "request",    False, "never",                         "request form not valid", "不合法的请求格式"),
    (  40039, "INVALID_URL_SIZE",                 "request",    False, "never",                         "url too long", "不合法的 URL 长度"),
    (  40048, "INVALID_URL_DOMAIN",               "request",    False, "never",                         "domain of the url not valid", "不合法的 URL 域名"),
    (  40062, "INVALID_TITLE_SIZE",               "request",    False, "never",                         "title empty or too long (one-time subscription: at most 15 characters)", "标题为空或过长（一次性订阅消息最多 15 个字）"),
    (  40066, "INVALID_URL",                      "request",    False, "never",                         "url not valid", "不合法的 URL"),
    (  40068, "MALICIOUS_URL",                    "request",    False, "never",                         "contains a malicious URL", "包含恶意链接"),
    (  40090, "BAD_CLIENT_IP",                    "config",     False, "after_config",                  "request source (client IP) not valid", "不合法的请求来源（客户端 IP）"),
    (  40091, "INVALID_COMPONENT_TICKET",         "platform",   True,  "after_new_component_ticket",    "component_verify_ticket not valid", "不合法的 component_verify_ticket"),
    (  40094, "INVALID_COMPONENT_CREDENTIAL",     "platform",   True,  "after_component_token_refresh", "component_access_token not valid", "不合法的 component_access_token"),
    (  40097, "INVALID_ARGS_2",                   "request",    False, "never",                         "parameter not valid", "参数错误"),
    (  40101, "MISSING_PARAMETER",                "request",    False, "never",                         "a required parameter is missing", "缺少必填参数"),
    (  40125, "INVALID_APPSECRET",                "config",     False, "never",                         "AppSecret wrong or reset", "不合法的 AppSecret（错误或已被重置）"),
    (  40138, "EMPHASIS_KEYWORD_INVALID",         "request",    False, "never",                         "the emphasised keyword may not be first or remark", "放大显示的关键词不能是 first 或 remark"),
    (  40164, "IP_NOT_IN_WHITELIST",              "config",     False, "after_config",                  "caller's IP is not on the account's whitelist (errmsg names it)", "调用接口的 IP 地址不在白名单中（errmsg 中有该 IP）"),
    (  40165, "INVALID_WEAPP_PAGEPATH",           "request",    False, "never",                         "mini program pagepath not valid", "不合法的小程序 pagepath"),
    (  40166, "INVALID_WEAPP_APPID",              "request",    False, "never",                         "mini program appid not valid or not linked to the account", "小程序 appid 不合法或未与账号关联"),
    (  40200, "INVALID_ACCOUNT_TYPE",             "permission", False, "never",                         "account type not valid for this API", "不合法的账号类型"),
    (  40221, "INVALID_CONTENT_ENCODING",         "request",    False, "never",                         "Content-Encoding not accepted", "不合法的 Content-Encoding"),
    (  40222, "INVALID_IDC_DOMAIN",               "config",     False, "other_domain",                  "called over a domain not valid for this request", "调用的接口域名（IDC）不适用于此请求"),
    (  40234, "API_SIGNATURE_INVALID",            "config",     False, "after_config",                  "API security: signature absent or wrong", "API 安全：请求签名缺失或错误"),
    (  40235, "API_ENCRYPTION_INVALID",           "config",     False, "after_config",                  "API security: encrypted body cannot be decrypted", "API 安全：请求数据解密失败"),
    (  40241, "DUPLICATE_IN_60_SECONDS",          "duplicate",  False, "never_duplicate",               "same message sent within 60 seconds", "60 秒内重复发送相同消息"),
    (  40243, "APPSECRET_FROZEN",                 "config",     False, "after_config",                  "AppSecret is frozen", "AppSecret 已被冻结"),
    (  40246, "INVALID_KEYWORD_NAME_LIST",        "template",   False, "never",                         "keyword_name_list empty or a keyword not in the template library", "keyword_name_list 为空或关键词不在模板库中"),
    (  40247, "NEED_CATEGORY_TEMPLATE",           "template",   False, "never",                         "an id of the category template library is required", "需使用类目模板库的模板 ID"),
    (  40249, "MARKETING_CONTENT_FORBIDDEN",      "request",    False, "never",                         "content judged to be marketing", "内容被判定为营销内容"),
    (  40400, "HTTP_BAD_REQUEST",                 "request",    False, "never",                         "HTTP message not well formed", "HTTP 报文格式错误"),
    (  41001, "ACCESS_TOKEN_MISSING",             "token",      False, "never",                         "access_token is missing in the query string", "缺少 access_token 参数"),
    (  41002, "APPID_MISSING",                    "config",     False, "never",                         "appid is missing", "缺少 appid 参数"),
    (  41004, "APPSECRET_MISSING",                "config",     False, "never",                         "secret is missing", "缺少 secret 参数"),
    (  41011, "MISSING_REQUIRED_FIELDS",          "request",    False, "never",                         "required fields are missing", "缺少必填字段"),
    (  41018, "COMPONENT_APPID_MISSING",          "config",     False, "never",                         "component_appid is missing", "缺少 component_appid 参数"),
    (  41019, "COMPONENT_SECRET_MISSING",         "config",     False, "never",                         "component_appsecret is missing", "缺少 component_appsecret 参数"),
    (  41020, "COMPONENT_TICKET_MISSING",         "config",     False, "never",                         "component_verify_ticket is missing", "缺少 component_verify_ticket 参数"),
    (  41021, "COMPONENT_TOKEN_MISSING",          "config",     False, "never",                         "component_access_token is missing", "缺少 component_access_token 参数"),
    (  41028, "INVALID_FORM_ID",                  "recipient",  False, "never",                         "form_id wrong, expired or of another user", "form_id 不正确、已过期或不属于该用户"),
    (  41029, "FORM_ID_USED",                     "recipient",  False, "never",                         "form_id already used", "form_id 已被使用"),
    (  41030, "INVALID_PAGE",                     "request",    False, "never",                         "page does not exist in the released mini program", "page 页面不存在（以已发布的小程序版本为准）"),
    (  41031, "FORM_ID_BLOCKED",                  "banned",     False, "never",                         "form_id blocked", "form_id 被封禁"),
    (  41032, "FORM_ID_PUNISHED",                 "banned",     False, "never",                         "sending with form_id forbidden as a punishment", "因违规被禁止使用 form_id 发送消息"),
    (  41034, "FORM_ID_PUNISHED_2",               "banned",     False, "never",                         "sending with form_id forbidden as a punishment", "因违规被禁止使用 form_id 发送消息"),
    (  41035, "PREPAY_ID_PUNISHED",               "banned",     False, "never",                         "sending with prepay_id forbidden as a punishment", "因违规被禁止使用 prepay_id 发送消息"),
    (  42001, "ACCESS_TOKEN_EXPIRED",             "token",      True,  "after_token_refresh_once",      "access_token expired", "access_token 已过期"),
    (  42002, "REFRESH_TOKEN_EXPIRED",            "token",      False, "after_reauthorization",         "refresh_token expired", "refresh_token 已过期"),
    (  42006, "COMPONENT_TOKEN_EXPIRED",          "token",      True,  "after_component_token_refresh", "component_access_token expired", "component_access_token 已过期"),
    (  42007, "AUTHORIZATION_INVALIDATED",        "token",      False, "after_reauthorization",         "user authorization void after a password change (not the server's token)", "用户修改微信密码，网页授权的 access_token 和 refresh_token 失效"),
    (  43001, "REQUIRE_GET",                      "request",    False, "never",                         "GET required", "需要 GET 请求"),
    (  43002, "REQUIRE_POST",                     "request",    False, "never",                         "POST required", "需要 POST 请求"),
    (  43003, "REQUIRE_HTTPS",                    "request",    False, "never",                         "HTTPS required", "需要 HTTPS 请求"),
    (  43004, "REQUIRE_FOLLOW",                   "recipient",  False, "after_user_action",             "receiver does not follow the official account", "接收者未关注该公众号"),
    (  43006, "REQUIRE_NOT_BLOCK",                "recipient",  False, "after_user_action",             "receiver blocks the official account", "接收者已屏蔽该公众号"),
    (  43019, "RECIPIENT_BLACKLISTED",            "recipient",  False, "after_config",                  "receiver is on the account's blacklist", "接收者在账号的黑名单中"),
    (  43100, "TEMPLATE_CHANGE_TOO_FREQUENT",     "quota",      False, "next_month",                    "industry or template changed too often (once a month)", "修改行业或模板过于频繁（每月一次）"),
    (  43101, "NOT_SUBSCRIBED",                   "recipient",  False, "after_user_action",             "user did not subscribe, refused, or the subscription is used up", "用户未订阅该消息、已取消订阅或订阅次数已用完"),
    (  43102, "TEMPLATE_NOT_SUBSCRIPTION_TYPE",   "template",   False, "never",                         "template is not a subscription template", "该模板不是订阅消息模板"),
    (  43104, "APPID_NO_PERMISSION",              "permission", False, "never",                         "this appid lacks the permission", "该 appid 没有此权限"),
    (  43105, "NO_TEMPLATE_BINDING",              "template",   False, "never",                         "content is not bound to this template_id", "内容与该 template_id 没有绑定关系"),
    (  43106, "ADD_TEMPLATE_PUNISHED",            "banned",     False, "never",                         "adding templates forbidden as a punishment", "因违规被禁止添加模板"),
    (  43107, "SUBSCRIBE_CAPABILITY_BANNED",      "banned",     False, "never",                         "the account's subscription messages, or this template, are banned", "订阅消息能力或该模板已被封禁"),
    (  43108, "CONCURRENT_SEND_SAME_USER",        "rate_limit", True,  "serialise_per_openid",          "two messages to the same openid at the same time", "同一 openid 存在并发发送"),
    (  43116, "TEMPLATE_RESTRICTED",              "banned",     False, "never",                         "template is banned from sending", "该模板已被封禁或限制下发"),
    (  43117, "OPENID_TOO_FREQUENT",              "rate_limit", True,  "backoff_per_openid",            "messages to this openid are too frequent", "向该 openid 发送消息过于频繁"),
    (  44002, "EMPTY_POST_DATA",                  "request",    False, "never",                         "POST body is empty", "POST 的数据包为空"),
    (  44004, "EMPTY_CONTENT",                    "request",    False, "never",                         "text content is empty", "文本消息内容为空"),
    (  44007, "REPEATED_MSG_ID",                  "duplicate",  False, "never_duplicate",               "message id repeated", "消息 ID 重复"),
    (  45009, "DAILY_QUOTA_REACHED",              "quota",      False, "next_day_or_clear_quota",       "daily call quota of this API reached", "接口调用超过每日限额"),
    (  45011, "MINUTE_QUOTA_REACHED",             "rate_limit", True,  "next_minute",                   "calls per minute reached", "接口调用过于频繁（超过每分钟限额）"),
    (  45012, "TEMPLATE_SIZE_LIMIT",              "request",    False, "never",                         "template too large", "模板大小超过限制"),
    (  45013, "TOO_MANY_TEMPLATE_ARGS",           "request",    False, "never",                         "too many template arguments", "模板参数数量超过限制"),
    (  45014, "TEMPLATE_MESSAGE_SIZE_LIMIT",      "request",    False, "never",                         "template message too large", "模板消息大小超过限制"),
    (  45015, "CUSTOM_MSG_WINDOW_CLOSED",         "recipient",  False, "after_user_action",             "customer-service message: reply window over, or user unfollowed", "客服消息：超出回复时间限制或用户已取消关注"),
    (  45026, "TEMPLATE_COUNT_LIMIT",             "quota",      False, "after_config",                  "template count limit of the account reached (25)", "模板数量已达上限（25 个）"),
    (  45027, "TEMPLATE_INDUSTRY_CONFLICT",       "template",   False, "never",                         "template does not fit the account's industry", "模板与账号所属行业不符"),
    (  45028, "NO_MASS_SEND_QUOTA",               "quota",      False, "next_period",                   "no mass-send quota left", "没有群发配额"),
    (  45040, "MONTHLY_QUOTA_REACHED",            "quota",      False, "next_month",                    "monthly quota reached", "已达每月调用上限"),
    (  45047, "CUSTOM_MSG_COUNT_LIMIT",           "recipient",  False, "after_user_action",             "customer-service messages of this interaction used up", "客服消息下行条数超过上限"),
    (  45051, "TEMPLATE_INVALID_LINK",            "request",    False, "never",                         "template message uses an invalid link", "模板消息中的链接不合法"),
    (  45061, "UPDATE_TOO_OFTEN",                 "rate_limit", True,  "backoff",                       "updated too often", "更新频率过高"),
    (  45063, "TOKEN_NOT_MINI_PROGRAM",           "config",     False, "never",                         "access_token is not of a mini program", "该 access_token 不属于小程序"),
    (  45065, "CLIENTMSGID_EXISTS",               "duplicate",  False, "never_duplicate",               "clientmsgid exists already (mass send)", "clientmsgid 已存在（群发接口）"),
    (  45066, "CLIENTMSGID_RETRY_TOO_FAST",       "rate_limit", True,  "after_60s",                     "clientmsgid repeated within a minute (mass send)", "相同 clientmsgid 一分钟内重复请求（群发接口）"),
    (  45067, "CLIENTMSGID_TOO_LONG",             "request",    False, "never",                         "clientmsgid too long (mass send)", "clientmsgid 长度超过限制（群发接口）"),
    (  45082, "URL_NEEDS_ICP",                    "request",    False, "never",                         "domain of the url needs an ICP licence", "URL 域名需要 ICP 备案"),
    (  45087, "CUSTOM_MSG_BLOCKED",               "banned",     False, "never",                         "customer-service messages of this account are banned", "该账号的客服消息能力已被封禁"),
    (  45093, "NO_QUOTA_TO_SEND",                 "quota",      False, "next_period",                   "no quota left to send messages", "没有剩余的消息发送配额"),
    (  45102, "API_TEMPORARILY_BLOCKED",          "transient",  True,  "backoff_capped",                "API blocked for a short time", "接口暂时被限制"),
    (  45103, "API_RETIRED",                      "deprecated", False, "never",                         "API switched off", "接口已停止支持"),
    (  45104, "DOMAIN_QUOTA_REACHED",             "quota",      False, "backoff",                       "quota of the calling domain reached", "调用域名的额度已用完"),
    (  45109, "API_RETIRED_2",                    "deprecated", False, "never",                         "API switched off", "接口已停止支持"),
    (  45168, "SENSITIVE_WORD",                   "request",    False, "never",                         "content hit the sensitive-word list", "内容命中敏感词"),
    (  45501, "APP_TEMPORARILY_THROTTLED",        "rate_limit", True,  "backoff",                       "some or all calls of this app are refused for a short time", "该应用的部分或全部请求被暂时拒绝"),
    (  46004, "USER_NOT_EXIST",                   "recipient",  False, "never",                         "user does not exist", "不存在的用户"),
    (  46101, "WXOPEN_TEMPLATE_RETIRED",          "deprecated", False, "never",                         "template messages of mini programs ended on 2020-01-11", "小程序模板消息已于 2020-01-11 下线"),
    (  47001, "DATA_FORMAT_ERROR",                "request",    False, "never",                         "body could not be parsed, or a required field is absent", "解析 JSON/XML 内容错误或缺少必填字段"),
    (  47002, "NO_UNICODE_ESCAPES",               "request",    False, "never",                         "body contains \\uXXXX escapes", "请求内容不能包含 \\uXXXX 转义字符"),
    (  47003, "TEMPLATE_PARAM_INVALID",           "request",    False, "never",                         "data missing, of wrong structure, or a value breaks its type's rule", "模板参数不准确：data 缺失、结构错误或字段值不符合类型规则"),
    (  48001, "API_UNAUTHORIZED",                 "permission", False, "after_config",                  "account has no right to this API", "接口未授权（账号没有该接口的权限）"),
    (  48002, "USER_BLOCKS_MESSAGES",             "recipient",  False, "after_user_action",             "follower switched off message reception", "粉丝拒收消息"),
    (  48004, "API_FORBIDDEN",                    "banned",     False, "never",                         "API banned for irregularities", "接口因违规被封禁"),
    (  48006, "CLEAR_QUOTA_LIMIT",                "quota",      False, "next_month",                    "clear_quota itself is used up for this month (10)", "本月清零次数已用完（10 次）"),
    (  48008, "NO_PERMISSION_FOR_MSGTYPE",        "permission", False, "never",                         "no right for this message type", "没有该类型消息的发送权限"),
    (  48009, "API_EXPIRED",                      "deprecated", False, "never",                         "API has expired", "接口已过期"),
    (  48011, "TEMPLATE_DISABLED",                "banned",     False, "never",                         "template_id is disabled", "template_id 已被禁用"),
    (  48012, "INVALID_TOKEN",                    "token",      True,  "after_token_refresh_once",      "token invalid", "token 无效"),
    (  49001, "APPID_TOKEN_MISMATCH",             "config",     False, "never",                         "appid is not that of the access_token", "appid 与 access_token 不匹配"),
    (  50001, "USER_UNAUTHORIZED",                "permission", False, "never",                         "user or API not authorized", "用户未授权该 API"),
    (  50002, "USER_LIMITED",                     "recipient",  False, "never",                         "user limited (frozen, cancelled or migrating)", "用户受限（账号被冻结、已注销或迁移中）"),
    (  50003, "USER_NOT_IN_WHITELIST",            "recipient",  False, "never",                         "user not expected (perhaps not on a whitelist)", "非预期用户（可能不在白名单中）"),
    (  50004, "TOKEN_API_FORBIDDEN",              "banned",     False, "never",                         "account may not use access_token", "该账号被禁止使用 access_token"),
    (  50005, "USER_UNSUBSCRIBED",                "recipient",  False, "after_user_action",             "user does not follow the account", "用户未关注该账号"),
    (  50007, "ACCOUNT_FROZEN",                   "banned",     False, "never",                         "account is frozen", "账号已被冻结"),
    (  61003, "COMPONENT_NOT_AUTHORIZED",         "permission", False, "after_reauthorization",         "account has not authorized this third-party platform, or revoked it", "该账号未授权此第三方平台或已取消授权"),
    (  61004, "CLIENT_IP_NOT_REGISTERED",         "config",     False, "after_config",                  "caller's IP is not on the platform's whitelist", "调用接口的 IP 地址不在第三方平台的白名单中"),
    (  61005, "COMPONENT_TICKET_EXPIRED",         "platform",   True,  "after_new_component_ticket",    "component_verify_ticket expired (12 hours)", "component_verify_ticket 已过期（有效期 12 小时）"),
    (  61006, "COMPONENT_TICKET_INVALID",         "platform",   True,  "after_new_component_ticket",    "component_verify_ticket not valid", "component_verify_ticket 无效"),
    (  61007, "API_UNAUTHORIZED_TO_COMPONENT",    "permission", False, "after_reauthorization",         "account did not grant the permission set of this API", "该账号未将此接口的权限集授权给第三方平台"),
    (  61009, "AUTH_CODE_INVALID",                "platform",   False, "after_reauthorization",         "authorization code not valid", "授权码无效"),
    (  61010, "AUTH_CODE_EXPIRED",                "platform",   False, "after_reauthorization",         "authorization code expired", "授权码已过期"),
    (  61011, "INVALID_COMPONENT",                "config",     False, "never",                         "third-party platform not valid", "不合法的第三方平台"),
    (  61014, "MUST_USE_COMPONENT_TOKEN",         "config",     False, "never",                         "component API called with an account's token", "第三方平台接口须使用 component_access_token 调用"),
    (  61015, "MUST_USE_ACCOUNT_TOKEN",           "config",     False, "never",                         "business API called with a component token", "业务接口须使用账号的 access_token 调用"),
    (  61016, "CATEGORY_NEEDS_CONFIRM",           "permission", False, "after_config",                  "permission category must be confirmed by the third-party platform", "权限集需由第三方平台确认"),
    (  61017, "CATEGORY_NOT_AUTHORIZED",          "permission", False, "after_reauthorization",         "permission category not authorized", "权限集未授权"),
    (  61023, "AUTHORIZER_REFRESH_TOKEN_INVALID", "platform",   False, "after_reauthorization",         "authorizer_refresh_token not valid", "authorizer_refresh_token 无效"),
    (  61024, "MUST_USE_COMPONENT_TOKEN_API",     "config",     False, "never",                         "appid is a third-party platform: get its token with api_component_token", "该 appid 为第三方平台，须通过 api_component_token 获取 token"),
    (  61028, "COMPONENT_UNPUBLISHED",            "config",     False, "never",                         "third-party platform not published", "第三方平台未全网发布"),
    (  61450, "SYSTEM_ERROR_KF",                  "transient",  True,  "backoff",                       "system error (customer-service API)", "客服接口系统错误"),
    (  61451, "INVALID_PARAMETER_KF",             "request",    False, "never",                         "parameter not valid (customer-service API)", "客服接口参数错误"),
    (  61452, "INVALID_KF_ACCOUNT",               "request",    False, "never",                         "customer-service account not valid", "无效的客服账号"),
    (  61453, "KF_ACCOUNT_EXISTS",                "request",    False, "never",                         "customer-service account exists already", "客服账号已存在"),
    (  61454, "KF_ACCOUNT_TOO_LONG",              "request",    False, "never",                         "customer-service account name too long", "客服账号名过长"),
    (  61455, "KF_ACCOUNT_ILLEGAL_CHAR",          "request",    False, "never",                         "customer-service account name has illegal characters", "客服账号名包含非法字符"),
    (  61456, "KF_ACCOUNT_COUNT_LIMIT",           "quota",      False, "never",                         "too many customer-service accounts", "客服账号数量超过上限"),
    (  61457, "KF_INVALID_IMAGE",                 "request",    False, "never",                         "head image is of an invalid file type", "客服头像文件类型无效"),
    (  61503, "DATA_NOT_READY",                   "transient",  True,  "backoff",                       "data not ready yet", "数据尚未准备好"),
    (  76001, "RID_NOT_FOUND",                    "request",    False, "never",                         "rid does not exist", "rid 不存在"),
    (  76002, "RID_FORMAT_ERROR",                 "request",    False, "never",                         "rid empty or malformed", "rid 为空或格式错误"),
    (  76003, "RID_NO_PERMISSION",                "permission", False, "never",                         "rid belongs to another account", "该 rid 属于其他账号"),
    (  76004, "RID_EXPIRED",                      "request",    False, "never",                         "rid older than 7 days", "rid 已过期（仅可查询 7 天内）"),
    (  76021, "CGI_PATH_NOT_FOUND",               "request",    False, "never",                         "cgi_path wrong", "cgi_path 错误"),
    (  76022, "CGI_PATH_NO_PERMISSION",           "permission", False, "never",                         "token is not of the account kind this API belongs to", "当前账号类型的 token 无权查询该 cgi_path"),
    (  85105, "CLOUD_API_NO_PERMISSION",          "permission", False, "after_config",                  "open-interface service: no permission for this API", "开放接口服务：没有该接口的权限"),
    (  85107, "CLOUD_API_NOT_WHITELISTED",        "config",     False, "after_config",                  "open-interface service: API path not on the environment's whitelist", "开放接口服务：接口路径不在该环境的白名单中"),
    (  85112, "CLOUD_OPENAPI_ERROR",              "config",     False, "after_config",                  "open-interface service error (meaning not documented)", "开放接口服务错误（官方未说明含义）"),
    (  85113, "CLOUD_TOKEN_NOT_READY",            "transient",  True,  "backoff",                       "open-interface service: token not ready yet (container start)", "开放接口服务：token 尚未就绪（容器启动中）"),
    (  89501, "IP_CONFIRM_PENDING",               "config",     False, "after_config",                  "a confirmation of this IP is still open with the administrator", "该 IP 的调用确认请求正等待管理员处理"),
    (  89502, "WAIT_ADMIN_CONFIRM",               "config",     False, "after_config",                  "waiting for the administrator's confirmation", "等待管理员确认"),
    (  89503, "IP_NEEDS_ADMIN_CONFIRM",           "config",     False, "after_config",                  "this IP's calls need the administrator's confirmation (request sent)", "此 IP 调用需要管理员确认（已向管理员发送模板消息）"),
    (  89504, "WAIT_ADMIN_CONFIRM_2",             "config",     False, "after_config",                  "waiting for the administrator's confirmation", "等待管理员确认"),
    (  89505, "WAIT_ADMIN_CONFIRM_3",             "config",     False, "after_config",                  "waiting for the administrator's confirmation", "等待管理员确认"),
    (  89506, "IP_REFUSED_24H",                   "config",     False, "after_24h",                     "administrator refused this IP twice: blocked for 24 hours", "该 IP 调用被管理员拒绝两次，24 小时内不可再使用"),
    (  89507, "IP_REFUSED_1H",                    "config",     False, "after_1h",                      "administrator refused this IP: blocked for 1 hour", "该 IP 调用被管理员拒绝，1 小时内不可再使用"),
    ( 200001, "TEMPLATE_MGMT_SYSTEM_ERROR_2",     "transient",  True,  "backoff",                       "system error of template management", "模板管理系统错误"),
    ( 200002, "TEMPLATE_MGMT_PARAM_ERROR_2",      "request",    False, "never",                         "parameter error of template management", "模板管理参数错误"),
    ( 200011, "ACCOUNT_BANNED_TEMPLATES",         "banned",     False, "never",                         "account is banned from template management", "该账号因违规被禁止使用模板管理"),
    ( 200012, "PRIVATE_TEMPLATE_LIMIT",           "quota",      False, "after_config",                  "private template limit reached (25)", "个人模板数已达上限（25 个）"),
    ( 200013, "PUBLIC_TEMPLATE_BANNED",           "banned",     False, "never",                         "template is banned and cannot be chosen", "该模板已被封禁，无法选用"),
    ( 200014, "TEMPLATE_TID_ERROR",               "request",    False, "never",                         "tid empty or unknown (also seen when a form was expected)", "模板 tid 参数错误（请求应为表单却发送 JSON 时也可能出现）"),
    ( 200016, "START_ERROR",                      "request",    False, "never",                         "start wrong", "start 参数错误"),
    ( 200017, "LIMIT_ERROR",                      "request",    False, "never",                         "limit wrong (at most 30)", "limit 参数错误（最大 30）"),
    ( 200018, "CATEGORY_IDS_MISSING",             "request",    False, "never",                         "ids of the category missing", "缺少类目 ids"),
    ( 200019, "CATEGORY_IDS_INVALID",             "request",    False, "never",                         "ids of the category not valid", "类目 ids 不合法"),
    ( 200020, "KIDLIST_ERROR",                    "request",    False, "never",                         "kidList wrong (2 to 5 known keyword ids)", "关键词列表 kidList 参数错误（2 至 5 个有效关键词）"),
    ( 200021, "SCENEDESC_ERROR",                  "request",    False, "never",                         "sceneDesc wrong (1 to 15 characters)", "场景描述 sceneDesc 参数错误（1 至 15 个字）"),
    ( 200022, "TEMPLATE_EXISTS",                  "duplicate",  False, "never",                         "a template with this title and these keywords exists", "已存在标题和关键词相同的模板"),
    ( 200100, "ACCOUNT_TYPE_ILLEGAL",             "permission", False, "never",                         "account type not valid for this API", "账号类型不支持该接口"),
)
# fmt: on

ERROR_CODES: Mapping[int, ErrorCode] = {
    code: ErrorCode(code, name, ErrorClass(error_class), retryable, RetryHint(hint), Bilingual(en, zh))
    for code, name, error_class, retryable, hint, en, zh in _ROWS
}
# A send names no AppID but that of the mini program which the message opens: one message's mistake.
# https://github.com/node-webot/co-wechat-api/issues/66
ABOUT_APPID = frozenset({40013, 41002, 49001})


def lookup(errcode: int) -> ErrorCode:
    """The row of a code; a code that is not in the table is permanent for its message, and no more than that.

    WeChat adds codes without notice, so an unknown one must neither be repeated nor stop an account.
    """
    known = ERROR_CODES.get(errcode)
    if known is not None:
        return known
    return ErrorCode(
        code=errcode,
        name="UNKNOWN_CODE",
        error_class=ErrorClass.OTHER,
        retryable=False,
        retry_hint=RetryHint.UNKNOWN,
        meaning=Bilingual(f"errcode {errcode} is not a known code", f"未知的错误码 {errcode}"),
    )
