"""WeChat's error codes with the text that stands in ``errmsg``."""

SYSTEM_ERROR = -1
OK = 0
NOT_FOUND = 404
INVALID_CREDENTIAL = 40001
INVALID_GRANT_TYPE = 40002
INVALID_OPENID = 40003
INVALID_APPID = 40013
INVALID_ACCESS_TOKEN = 40014
INVALID_CHARSET = 40033
INVALID_ARGS = 40035
INVALID_URL = 40201
INVALID_CHECK_ACTION = 40202
INVALID_CHECK_OPERATOR = 40203
INVALID_TEMPLATE_ID_SIZE = 40036
INVALID_TEMPLATE_ID = 40037
INVALID_TITLE_SIZE = 40062
INVALID_APPSECRET = 40125
EMPHASIS_KEYWORD_INVALID = 40138
IP_NOT_IN_WHITELIST = 40164
INVALID_WEAPP_PAGEPATH = 40165
INVALID_WEAPP_APPID = 40166
APPSECRET_FROZEN = 40243
ACCESS_TOKEN_MISSING = 41001
APPID_MISSING = 41002
APPSECRET_MISSING = 41004
INVALID_FORM_ID = 41028
FORM_ID_USED = 41029
INVALID_PAGE = 41030
ACCESS_TOKEN_EXPIRED = 42001
REQUIRE_GET = 43001
REQUIRE_POST = 43002
NOT_SUBSCRIBED = 43101
CONCURRENT_SEND_SAME_USER = 43108
OPENID_TOO_FREQUENT = 43117
EMPTY_POST_DATA = 44002
DAILY_QUOTA_REACHED = 45009
MINUTE_QUOTA_REACHED = 45011
API_RETIRED = 45103
WXOPEN_TEMPLATE_RETIRED = 46101
DATA_FORMAT_ERROR = 47001
NO_UNICODE_ESCAPES = 47002
TEMPLATE_PARAM_INVALID = 47003
API_UNAUTHORIZED = 48001
CGI_PATH_NOT_FOUND = 76021
CGI_PATH_NO_PERMISSION = 76022
ACCOUNT_FROZEN = 50007
CLIENT_IP_NOT_REGISTERED = 61004
COMPONENT_TICKET_EXPIRED = 61005
COMPONENT_TICKET_INVALID = 61006
AUTH_CODE_INVALID = 61009
AUTH_CODE_EXPIRED = 61010
INVALID_COMPONENT = 61011
REFRESH_TOKEN_INVALID = 61023
ACCOUNT_TYPE_ILLEGAL = 200100

ERRMSG = {
    -604101: "has no permission to call this API",
    -604100: "API not found",
    -501007: "invalid parameters",
    -1000: "system error",
    SYSTEM_ERROR: "system error",
    OK: "ok",
    NOT_FOUND: "not found",
    20001: "system error",
    20002: "param error",
    INVALID_CREDENTIAL: "invalid credential, access_token is invalid or not latest",
    INVALID_GRANT_TYPE: "invalid grant_type",
    INVALID_OPENID: "invalid openid",
    40008: "invalid message type",
    INVALID_APPID: "invalid appid",
    INVALID_ACCESS_TOKEN: "invalid access_token",
    INVALID_CHARSET: "invalid charset",
    40034: "invalid template size",
    INVALID_ARGS: "invalid args",
    INVALID_URL: "invalid url",
    INVALID_CHECK_ACTION: "invalid action",
    INVALID_CHECK_OPERATOR: "invalid check_operator",
    INVALID_TEMPLATE_ID_SIZE: "invalid template_id size",
    INVALID_TEMPLATE_ID: "invalid template_id",
    40039: "invalid url size",
    40048: "invalid url domain",
    INVALID_TITLE_SIZE: "invalid title size",
    40066: "invalid url",
    40068: "malicious url",
    40097: "invalid args",
    INVALID_APPSECRET: "invalid appsecret",
    EMPHASIS_KEYWORD_INVALID: "emphasis keyword can not be first or remark",
    IP_NOT_IN_WHITELIST: "invalid ip, not in whitelist",
    INVALID_WEAPP_PAGEPATH: "invalid weapp pagepath",
    INVALID_WEAPP_APPID: "invalid weapp appid",
    40234: "invalid signature",
    40235: "decrypt failed",
    40241: "duplicate message in 60 seconds",
    APPSECRET_FROZEN: "appsecret is frozen",
    40249: "marketing content is forbidden",
    ACCESS_TOKEN_MISSING: "access_token missing",
    APPID_MISSING: "appid missing",
    APPSECRET_MISSING: "appsecret missing",
    INVALID_FORM_ID: "invalid form id",
    FORM_ID_USED: "form id used count reach limit",
    INVALID_PAGE: "invalid page",
    41031: "form id blocked",
    41032: "not allow to send message with submitted form id",
    41034: "not allow to send message with submitted form id",
    41035: "not allow to send message with prepay id",
    ACCESS_TOKEN_EXPIRED: "access_token expired",
    42002: "refresh_token expired",
    42006: "component_access_token expired",
    42007: "access_token and refresh_token exception",
    REQUIRE_GET: "require GET method",
    REQUIRE_POST: "require POST method",
    43003: "require https",
    43004: "require subscribe",
    43006: "require not block",
    43019: "require remove blacklist",
    43100: "change template too frequently",
    NOT_SUBSCRIBED: "user refuse to accept the msg",
    43102: "the template is not a subscription template",
    43104: "appid has no permission",
    43105: "no binding with this template_id",
    43106: "adding templates is forbidden",
    43107: "subscribe message is banned",
    CONCURRENT_SEND_SAME_USER: "Cannot make concurrent calls to the same OpenID, please try again",
    43116: "the template is limited",
    OPENID_TOO_FREQUENT: "Sending messages to this openid too frequently,please try later",
    EMPTY_POST_DATA: "empty post data",
    44007: "msg id repeated",
    DAILY_QUOTA_REACHED: "reach max api daily quota limit",
    MINUTE_QUOTA_REACHED: "api minute-quota reach limit, must slower, retry next minute",
    45012: "template size out of limit",
    45013: "too many template args",
    45014: "template message size out of limit",
    45015: "response out of time limit or subscription is canceled",
    45026: "template num exceeds limit",
    45027: "template conflict with industry",
    45028: "has no masssend quota",
    45040: "reach max api monthly quota limit",
    45047: "out of response count limit",
    45051: "invalid link in template message",
    45061: "update too often",
    45063: "not a mini program access_token",
    45065: "clientmsgid exist",
    45066: "same clientmsgid retry too fast",
    45082: "need icp license for the url domain",
    45087: "customer service message is blocked",
    45093: "no quota to send",
    45102: "api is temporarily blocked",
    API_RETIRED: "This API has been unsupported",
    45104: "reach domain quota limit",
    45109: "This API has been unsupported",
    45168: "hit sensitive word",
    45501: "requests of this app are temporarily refused",
    46004: "user not exist",
    WXOPEN_TEMPLATE_RETIRED: "not supported since 2020-01-11 00:00:00, please use subscribeMessage",
    DATA_FORMAT_ERROR: "data format error",
    NO_UNICODE_ESCAPES: "data format error, do NOT use json unicode encode, please use utf8 encoded text",
    TEMPLATE_PARAM_INVALID: "argument invalid!",
    API_UNAUTHORIZED: "api unauthorized",
    CGI_PATH_NOT_FOUND: "cgi_path not found, please check",
    CGI_PATH_NO_PERMISSION: "could not use this cgi_path, no permission",
    48002: "user block receive message",
    48004: "api forbidden for irregularities, view detail on mp.weixin.qq.com",
    48006: "forbid to clear quota because of reaching the limit",
    48008: "no permission for this msgtype",
    48009: "api expired",
    48011: "template id is disabled",
    48012: "invalid token",
    50001: "user unauthorized",
    50002: "user limited",
    50004: "forbidden to use access_token",
    50005: "user unsubscribed",
    ACCOUNT_FROZEN: "account frozen",
    61003: "component is not authorized by this account",
    CLIENT_IP_NOT_REGISTERED: "access clientip is not registered",
    COMPONENT_TICKET_EXPIRED: "component ticket is expired",
    COMPONENT_TICKET_INVALID: "component ticket is invalid",
    61007: "api is unauthorized to component",
    AUTH_CODE_INVALID: "code is invalid",
    AUTH_CODE_EXPIRED: "code is expired",
    INVALID_COMPONENT: "invalid component",
    61014: "must use component token",
    61015: "must use account token",
    61016: "function category of API need be confirmed by component",
    61017: "function category not authorized",
    REFRESH_TOKEN_INVALID: "refresh_token is invalid",
    61024: "must use api_component_token to get token for component acct",
    61450: "system error",
    61503: "data is not ready",
    85113: "token is not ready",
    89501: "the confirmation of this ip is still open",
    89503: "this ip needs to be confirmed by the administrator",
    89506: "this ip was refused by the administrator, try again after 24 hours",
    89507: "this ip was refused by the administrator, try again after 1 hour",
    200001: "system error",
    200011: "this account has been banned",
    200012: "too many templates",
    200013: "the template has been banned",
    200014: "invalid tid",
    200016: "invalid start",
    200017: "invalid limit",
    200018: "missing ids",
    200019: "invalid ids",
    200020: "invalid kidList",
    200021: "invalid sceneDesc",
    200022: "the template already exists",
    ACCOUNT_TYPE_ILLEGAL: "illegal account type",
}


class Refusal(Exception):  # noqa: N818 - an answer of WeChat, no failure of this program
    """WeChat answers a call with an error code.

    Parameters
    ----------
    errcode
        The code.
    errmsg
        Its text without the rid; the usual text of the code unless given.
    """

    def __init__(self, errcode: int, errmsg: str | None = None) -> None:
        self.errcode = errcode
        self.errmsg = errmsg if errmsg is not None else ERRMSG.get(errcode, "error")
        super().__init__(f"{errcode} {self.errmsg}")
