"""The codes to look at first, by what one notices."""

from __future__ import annotations

from typing import Final, NamedTuple

from wechat_notify.core.texts import Bilingual


class Symptom(NamedTuple):
    """Something that one notices, the codes that come with it, and a remark."""

    text: Bilingual
    codes: tuple[int, ...]
    remark: Bilingual


SYMPTOMS: Final = (
    Symptom(
        Bilingual(
            "No token can be fetched; nothing of an account is sent",
            "无法获取 access_token，账号的消息全部发不出去",
        ),
        (40164, 40125, 40013, 40243, 89503, 50007, 45009),
        Bilingual(
            "Most often the IP whitelist or the AppSecret. `TokenRefreshAlarm` and the log of token_refresh name the code.",
            "最常见的是 IP 白名单或 AppSecret 问题。`TokenRefreshAlarm` 告警和 token_refresh 的日志会给出错误码。",
        ),
    ),
    Symptom(
        Bilingual("A token is rejected again and again", "access_token 反复失效"),
        (40001, 42001, 40014),
        Bilingual(
            "Another program fetches tokens of the same account, or the token is of another account.",
            "通常是另有程序在获取同一账号的 access_token，或 access_token 属于其他账号。",
        ),
    ),
    Symptom(
        Bilingual("The status is `sent`, but the user sees no message", "状态为 `sent`，但用户没有收到消息"),
        (0, 40241, 43004, 43101),
        Bilingual(
            "`sent` means accepted. A template message can still fail afterwards: WeChat says so in the event TEMPLATESENDJOBFINISH.",
            "`sent` 仅表示微信已受理。模板消息此后仍可能失败，结果见 TEMPLATESENDJOBFINISH 事件。",
        ),
    ),
    Symptom(
        Bilingual("Some users get no message, others do", "部分用户收不到消息"),
        (43101, 40003, 43004, 43019, 48002, 50002),
        Bilingual(
            "They did not subscribe, do not follow, refuse messages, or their openid is of another account.",
            "用户未订阅、未关注、拒收消息，或 openid 属于其他账号。",
        ),
    ),
    Symptom(
        Bilingual("One kind of message fails for everybody", "某一类消息对所有用户都失败"),
        (48001, 48004, 43107, 45103, 46101, 61007),
        Bilingual(
            "The account lacks the permission, is punished, or WeChat has retired the API.",
            "账号没有接口权限、被处罚，或接口已下线。",
        ),
    ),
    Symptom(
        Bilingual("One template fails for everybody", "某个模板对所有用户都失败"),
        (40037, 40036, 43116, 48011, 43102, -1),
        Bilingual(
            "The id is of another account or another kind of message, or the template is banned.",
            "模板 ID 属于其他账号或其他消息类型，或模板已被封禁。",
        ),
    ),
    Symptom(
        Bilingual("The content is refused", "消息内容被拒绝"),
        (47003, 45168, 40249, 40062, 47001),
        Bilingual(
            "With 47003 errmsg names the field; the service tells it as `field`.",
            "47003 的 errmsg 会指出字段，服务在 `field` 中给出。",
        ),
    ),
    Symptom(
        Bilingual("The jump of a message is refused", "消息的跳转被拒绝"),
        (41030, 40165, 40166, 40013, 45082, 40048),
        Bilingual(
            "The mini program is not released or not linked, or the web page's domain is not registered.",
            "小程序未发布或未关联，或网页域名未备案、不合法。",
        ),
    ),
    Symptom(
        Bilingual("It fails in bursts, and works later", "高峰或批量发送时失败，稍后恢复"),
        (45011, 43108, 43117, 45501, -1),
        Bilingual("Too many calls a minute, or to one user.", "每分钟调用过多，或对同一用户发送过于频繁。"),
    ),
    Symptom(
        Bilingual("It fails until the next day", "当天一直失败，次日恢复"),
        (45009,),
        Bilingual(
            "The quota is used up. [`GET …/quota`]({quota}) shows how much WeChat counts.",
            "额度已用完，可通过 [`GET …/quota`]({quota}) 查看微信的计数。",
        ),
    ),
    Symptom(
        Bilingual("A template cannot be added", "无法添加模板"),
        (200012, 200014, 200020, 43106, 45026),
        Bilingual(
            "Most often the limit of 25 templates.",
            "最常见的是模板数已达 25 个上限。",
        ),
    ),
    Symptom(
        Bilingual("A third-party platform's calls fail", "第三方平台的调用失败"),
        (61003, 61004, 61005, 61007, 42006),
        Bilingual(
            "The account withdrew its authorization, the IP is not on the platform's whitelist, or no new ticket came.",
            "账号已取消授权、IP 不在第三方平台白名单中，或未收到新的 ticket。",
        ),
    ),
    Symptom(
        Bilingual("A cloud function's or WeChat Cloud hosting's calls fail", "云函数或云托管的调用失败"),
        (-604101, -604100, 85107, 85113, 40001),
        Bilingual(
            "The API is not in the list of permissions, or the token is in the wrong parameter.",
            "接口未加入权限列表，或 token 放错了参数。",
        ),
    ),
)
