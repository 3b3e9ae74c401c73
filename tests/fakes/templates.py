"""Templates as WeChat's documentation prints them."""

from __future__ import annotations

from typing import Any

from tests.fakes.clock import START
from wechat_notify.core.templates.template import AccountTemplates, Enumeration, Family, Template

MEETING = Template(
    "9Aw5ZV1j9xdWTFEkqCpZ7mIBbSC34khK55OtzUPl0rU",
    Family.SUBSCRIPTION,
    "报名结果通知",
    "会议时间:{{date2.DATA}}\n会议地点:{{thing1.DATA}}\n",
    "会议时间:2016年8月8日\n会议地点:TIT会议室\n",
    long_term=False,
)
WASHER = Template(
    "cy_DfOZL7lypxHh3ja3DyAUbn1GYQRGwezuy5LBTFME",
    Family.SUBSCRIPTION,
    "洗衣机故障提醒",
    "完成时间:{{time1.DATA}}\n所在位置:{{enum_string2.DATA}}\n",
    long_term=True,
    enumerations=(Enumeration("enum_string2", ("客厅", "餐厅", "厨房")),),
)
PRIZE = Template(
    "iPk5sOIt5X_flOVKn5GrTFpncEYTojx6ddbt8WYoV5s",
    Family.TEMPLATE,
    "领取奖金提醒",
    "{ {first.DATA} }\n\n领奖金额:{ {withdrawMoney.DATA} }\n备注:{ {keyword3.DATA} }",
    "您已提交领奖申请\n\n领奖金额：xxxx元\n备注：无",
)


def account_templates(*templates: Template, **fields: Any) -> AccountTemplates:
    """The templates of ``shop``, both lists read at the start."""
    given = {"updated_at": START, "subscription_at": START, "template_at": START, **fields}
    return AccountTemplates("shop", 1, "writer-0", templates=templates, **given)
