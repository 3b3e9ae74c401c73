"""The two lists of an account's templates, and the samples that every account begins with."""

from collections.abc import Iterable, Mapping
from typing import Any

from local.simulator import errcodes
from local.simulator.messages import BIZSEND, SUBSCRIBE_SEND, TEMPLATE_SEND, Template

GET_TEMPLATE = "/wxaapi/newtmpl/gettemplate"
GET_ALL_PRIVATE_TEMPLATE = "/cgi-bin/template/get_all_private_template"
PATHS: Mapping[str, int] = {
    GET_TEMPLATE: errcodes.ACCOUNT_TYPE_ILLEGAL,
    GET_ALL_PRIVATE_TEMPLATE: errcodes.API_UNAUTHORIZED,
}
"""The lists, and what an account is answered that is of a kind without them."""


def listed(path: str, templates: Iterable[Template]) -> dict[str, Any]:
    """A list as WeChat answers it. A template that is of no endpoint alone is in neither."""
    if path == GET_ALL_PRIVATE_TEMPLATE:
        # Such an answer has no errcode.
        return {"template_list": [_private(each) for each in templates if each.path == TEMPLATE_SEND]}
    of_subscriptions = [each for each in templates if each.path in (BIZSEND, SUBSCRIBE_SEND)]
    return {
        "errcode": errcodes.OK,
        "errmsg": "ok",
        "data": [_subscription(each) for each in of_subscriptions],
    }


def _subscription(template: Template) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "priTmplId": template.template_id,
        "title": template.title,
        "content": _content(template),
        "example": template.example,
        "type": template.type,
    }
    if template.enums:
        fields["keywordEnumValueList"] = [
            {"enumValueList": list(values), "keywordCode": f"{keyword}.DATA"}
            for keyword, values in template.enums.items()
        ]
    return fields


def _private(template: Template) -> dict[str, Any]:
    return {
        "template_id": template.template_id,
        "title": template.title,
        "primary_industry": "IT科技",
        "deputy_industry": "互联网|电子商务",
        "content": _content(template),
        "example": template.example,
    }


def _content(template: Template) -> str:
    return template.content or "".join(f"{keyword}:{{{{{keyword}.DATA}}}}\n" for keyword in template.keywords)


_ROOMS = ("客厅", "餐厅", "厨房", "卧室", "主卧", "次卧", "书房", "阳台", "地下室", "车库", "其他房间")
_FAULT = "设备发生故障，导致工作异常，请及时查看"
_OF_SUBSCRIPTIONS = (
    # What WeChat's page prints for gettemplate.
    Template(
        "9Aw5ZV1j9xdWTFEkqCpZ7mIBbSC34khK55OtzUPl0rU",
        BIZSEND,
        ("date2", "thing1"),
        title="报名结果通知",
        content="会议时间:{{date2.DATA}}\n会议地点:{{thing1.DATA}}\n",
        example="会议时间:2016年8月8日\n会议地点:TIT会议室\n",
    ),
    Template(
        "cy_DfOZL7lypxHh3ja3DyAUbn1GYQRGwezuy5LBTFME",
        BIZSEND,
        ("time1", "enum_string2", "enum_string3"),
        {"enum_string2": _ROOMS, "enum_string3": (_FAULT,)},
        title="洗衣机故障提醒",
        content="完成时间:{{time1.DATA}}\n所在位置:{{enum_string2.DATA}}\n提示说明:{{enum_string3.DATA}}\n",
        example=f"完成时间:2021年10月21日 12:00:00\n所在位置:客厅\n提示说明:{_FAULT}\n",
        type=3,
    ),
    # Of the sample bodies of bizsend and subscribe/send.
    Template(
        "KUcVbWfpjR2nX8mQy5tLs0aZ7dGhEoTi3vBrN6wCxMk",
        BIZSEND,
        ("keyword1", "keyword2", "keyword3"),
        title="购买成功通知",
        content="商品:{{keyword1.DATA}}\n金额:{{keyword2.DATA}}\n时间:{{keyword3.DATA}}\n",
        example="商品:巧克力\n金额:39.8元\n时间:2014年9月22日\n",
    ),
    Template(
        "pQ4sHzT1yVdM7rKfXa9JwLcU0iNbEgOo5uC2t8BxYZe",
        SUBSCRIBE_SEND,
        ("number01", "date01", "site01", "site02"),
        title="预约提醒",
        content="编号:{{number01.DATA}}\n日期:{{date01.DATA}}\n地点:{{site01.DATA}}\n地址:{{site02.DATA}}\n",
        example="编号:339208499\n日期:2015年01月05日\n地点:TIT创意园\n地址:广州市新港中路397号\n",
    ),
)
_OF_TEMPLATE_MESSAGES = (
    # What WeChat's page prints for get_all_private_template, blanks between the braces included.
    Template(
        "iPk5sOIt5X_flOVKn5GrTFpncEYTojx6ddbt8WYoV5s",
        TEMPLATE_SEND,
        title="领取奖金提醒",
        content="{ {result.DATA} }\n\n领奖金额:{ {withdrawMoney.DATA} }\n"
        "领奖  时间:    { {withdrawTime.DATA} }\n银行信息:{ {cardInfo.DATA} }\n"
        "到账时间:  { {arrivedTime.DATA} }\n{ {remark.DATA} }",
        example="您已提交领奖申请\n\n领奖金额：xxxx元\n领奖时间：2013-10-10 12:22:22\n"
        "银行信息：xx银行(尾号xxxx)\n到账时间：预计xxxxxxx\n\n预计将于xxxx到达您的银行卡",
    ),
    # Of the sample body of template/send.
    Template(
        "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY",
        TEMPLATE_SEND,
        title="购买成功通知",
        content="商品:{{thing1.DATA}}\n金额:{{amount2.DATA}}\n时间:{{time3.DATA}}\n",
        example="商品:巧克力\n金额:39.8元\n时间:2014年9月22日\n",
    ),
)
SAMPLES: Mapping[str, Template] = {
    template.template_id: template for template in (*_OF_SUBSCRIPTIONS, *_OF_TEMPLATE_MESSAGES)
}
