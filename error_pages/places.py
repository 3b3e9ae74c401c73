"""The names of the endpoints that answer with codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from error_pages.field_reports import Place
from wechat_notify.core.messages.kinds import MODELS
from wechat_notify.core.texts import Bilingual


class Endpoint(NamedTuple):
    """An endpoint's name for people; ``ours`` says that the service calls it."""

    name: Bilingual
    ours: bool


def _of_kind(place: Place) -> Endpoint:
    name = f"`{MODELS[place.value].endpoint}`"
    return Endpoint(Bilingual(name, name), ours=True)


PLACES: Final[Mapping[Place, Endpoint]] = {
    Place.TOKEN: Endpoint(
        Bilingual(
            "the token endpoints `/cgi-bin/stable_token` and `/cgi-bin/token`",
            "获取 access_token 的接口 `/cgi-bin/stable_token` 和 `/cgi-bin/token`",
        ),
        ours=True,
    ),
    **{Place(kind): _of_kind(Place(kind)) for kind in MODELS},
    Place.TEMPLATE_LISTS: Endpoint(
        Bilingual(
            "the lists of templates (`gettemplate`, `get_all_private_template`)",
            "模板列表接口（`gettemplate`、`get_all_private_template`）",
        ),
        ours=True,
    ),
    Place.QUOTAS: Endpoint(
        Bilingual("`/cgi-bin/openapi/quota/get`", "`/cgi-bin/openapi/quota/get`"), ours=True
    ),
    Place.TEMPLATE_MANAGEMENT: Endpoint(
        Bilingual("the management of templates", "模板管理接口（添加、删除、查询模板库）"), ours=False
    ),
    Place.UNIFORM_MESSAGE: Endpoint(
        Bilingual(
            "`/cgi-bin/message/wxopen/template/uniform_send`",
            "`/cgi-bin/message/wxopen/template/uniform_send`",
        ),
        ours=False,
    ),
    Place.CUSTOMER_SERVICE: Endpoint(
        Bilingual(
            "customer-service messages (`/cgi-bin/message/custom/send`)",
            "客服消息接口（`/cgi-bin/message/custom/send`）",
        ),
        ours=False,
    ),
    Place.MASS_SEND: Endpoint(
        Bilingual("mass messages (`/cgi-bin/message/mass/…`)", "群发接口（`/cgi-bin/message/mass/…`）"),
        ours=False,
    ),
    Place.PLATFORM: Endpoint(
        Bilingual(
            "the APIs of third-party platforms (`/cgi-bin/component/…`)",
            "第三方平台接口（`/cgi-bin/component/…`）",
        ),
        ours=True,
    ),
    Place.USER_AUTHORIZATION: Endpoint(
        Bilingual("the authorization of users in web pages (`/sns/…`)", "网页授权接口（`/sns/…`）"),
        ours=False,
    ),
    Place.DIAGNOSIS: Endpoint(
        Bilingual(
            "the resets of quotas and the query of a rid (`clear_quota`, `openapi/rid/get`)",
            "清零与 rid 查询接口（`clear_quota`、`openapi/rid/get`）",
        ),
        ours=False,
    ),
    Place.CLOUD_CALL: Endpoint(
        Bilingual(
            "cloud calls from a cloud function (`cloud.openapi`)", "云函数中的云调用（`cloud.openapi`）"
        ),
        ours=False,
    ),
    Place.CLOUD_HOSTING: Endpoint(
        Bilingual("WeChat Cloud hosting: its open-interface service", "微信云托管的开放接口服务"), ours=False
    ),
}
