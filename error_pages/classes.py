"""The classes of codes and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from wechat_notify.core.outcomes import ErrorClass
from wechat_notify.core.texts import Bilingual


class ClassText(NamedTuple):
    """The meaning that the codes of a class have in common, and who can do something about it."""

    meaning: Bilingual
    remedy: Bilingual


CLASSES: Final[Mapping[ErrorClass, ClassText]] = {
    ErrorClass.TOKEN: ClassText(
        Bilingual("The token of the call is not accepted.", "本次调用所用的凭证不被接受。"),
        Bilingual(
            "The service replaces its access_token by itself; the codes about other tokens need a new authorization.",
            "access_token 由服务自动更换；涉及其他凭证的错误码需要重新授权。",
        ),
    ),
    ErrorClass.CONFIG: ClassText(
        Bilingual(
            "The account's settings or credentials keep the service from calling WeChat.",
            "账号的设置或凭证有问题，服务无法正常调用微信接口。",
        ),
        Bilingual(
            "The operator or the account's administrator corrects them.", "由运维人员或账号管理员处理。"
        ),
    ),
    ErrorClass.PERMISSION: ClassText(
        Bilingual("The account may not use this API.", "账号没有该接口的权限。"),
        Bilingual(
            "The account's administrator has it certified or applies for the API, or the operator takes an account of another kind.",
            "由账号管理员处理：完成认证、申请接口权限，或改用具备该权限的账号类型。",
        ),
    ),
    ErrorClass.BANNED: ClassText(
        Bilingual(
            "WeChat has banned the account, one of its abilities or a template.",
            "账号、账号的某项能力或某个模板已被微信封禁。",
        ),
        Bilingual(
            "The account's administrator reads the notice in its back end (mp.weixin.qq.com).",
            "由账号管理员处理：违规通知在账号后台（mp.weixin.qq.com）。",
        ),
    ),
    ErrorClass.DEPRECATED: ClassText(
        Bilingual("WeChat has switched the API off.", "接口已被微信下线。"),
        Bilingual("The developer sends another kind of message.", "由开发者处理：改用其他类型的消息。"),
    ),
    ErrorClass.PLATFORM: ClassText(
        Bilingual(
            "The credentials of a third-party platform are void or expired.", "第三方平台的凭证无效或已过期。"
        ),
        Bilingual(
            "The operator of the platform needs a new ticket, a new token or a new authorization.",
            "由第三方平台的运维人员处理：等待新的 ticket、刷新 token 或重新授权。",
        ),
    ),
    ErrorClass.RECIPIENT: ClassText(
        Bilingual("This user cannot get this message.", "该用户无法接收此消息。"),
        Bilingual(
            "The user has to subscribe or follow; where the openid is wrong, the developer corrects it.",
            "由用户处理（订阅或关注）；openid 有误时由开发者处理。",
        ),
    ),
    ErrorClass.TEMPLATE: ClassText(
        Bilingual(
            "The template_id does not fit the account or the message.", "template_id 与账号或消息类型不符。"
        ),
        Bilingual(
            "The developer takes a template_id from the account's own list.",
            "由开发者处理：使用该账号模板列表中的 template_id。",
        ),
    ),
    ErrorClass.REQUEST: ClassText(
        Bilingual("The request itself is wrong.", "请求本身有误。"),
        Bilingual("The developer corrects what errmsg names.", "由开发者处理：按 errmsg 的提示修改请求。"),
    ),
    ErrorClass.QUOTA: ClassText(
        Bilingual(
            "A quota or a count is used up, for longer than minutes.",
            "额度或数量已达上限，短时间内不会恢复。",
        ),
        Bilingual(
            "Wait, or have the account's administrator reset the count, get a higher quota or delete templates.",
            "等待额度恢复，或由账号管理员处理：清零、提升额度、删除多余的模板。",
        ),
    ),
    ErrorClass.RATE_LIMIT: ClassText(
        Bilingual("The calls come too fast, for a moment.", "短时间内调用过于频繁。"),
        Bilingual("The service slows down by itself.", "服务会自动降低频率。"),
    ),
    ErrorClass.TRANSIENT: ClassText(
        Bilingual("WeChat is in trouble for a moment.", "微信侧暂时异常。"),
        Bilingual("The service repeats by itself.", "服务会自动重试。"),
    ),
    ErrorClass.DUPLICATE: ClassText(
        Bilingual("It exists already: the message or the template.", "消息或模板已经存在。"),
        Bilingual(
            "Nothing to do: a duplicate of a message counts as sent.", "无需处理；重复的消息视为已发送。"
        ),
    ),
    ErrorClass.SUCCESS: ClassText(
        Bilingual("WeChat accepted the call.", "微信已受理。"),
        Bilingual("Nothing to do.", "无需处理。"),
    ),
    ErrorClass.OTHER: ClassText(
        Bilingual("The code is not in the table.", "错误码不在表中。"),
        Bilingual(
            "The developer reads errmsg and WeChat's documentation.",
            "由开发者处理：查看 errmsg 和微信官方文档。",
        ),
    ),
}
"""In the order of the pages: what stops an account first, then what stops one message, then what passes."""
