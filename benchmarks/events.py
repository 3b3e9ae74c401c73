"""What the handlers are given: official account template messages, each to somebody else."""

from __future__ import annotations

import itertools
import json
from typing import Any

TEMPLATE_ID = "Zc8Yw1Xv5Ut0Ts9Rq4Po2Nm7Lk6Ji3Hg-FeDcBa_ZyX"
DATA = {
    "thing1": {"value": "春季新品礼盒"},
    "character_string2": {"value": "SF20260301"},
    "time3": {"value": "2026年3月1日 15:04"},
    "amount4": {"value": "¥128.00"},
}
URL = "https://shop.example.com/orders/20260301"

_serial = itertools.count()


def openid(index: int) -> str:
    """A person, with as many characters as WeChat gives them."""
    return f"oQk3h5LrVfTnWb8xYc2{index:09d}"


def message(index: int) -> dict[str, Any]:
    """A message of the kind ``template``."""
    return {
        "kind": "template",
        "touser": openid(index),
        "template_id": TEMPLATE_ID,
        "url": URL,
        "data": DATA,
    }


def batch(size: int, accounts: int = 1) -> dict[str, Any]:
    """An SQS batch as Lambda hands it over; its messages go round the accounts, and have ids of their own."""
    serial = next(_serial)
    records = [
        {
            "messageId": f"{serial:08x}-5f0c-4c7e-9d3a-{index:012x}",
            "receiptHandle": "AQEB6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
            "body": json.dumps({"account": f"account-{index % accounts}", "message": message(index)}),
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1772348640000",
                "SenderId": "AROAEXAMPLEEXAMPLE00:orders",
                "ApproximateFirstReceiveTimestamp": "1772348645000",
            },
            "messageAttributes": {},
            "md5OfBody": "f365e77ec6a72f7d68b00f3d53d60340",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:wechat-notify-send",
            "awsRegion": "us-east-1",
        }
        for index in range(size)
    ]
    return {"Records": records}


def request() -> dict[str, Any]:
    """A request as an HTTP API hands it over, payload format 2.0."""
    serial = next(_serial)
    path = "/v1/accounts/account-0/messages"
    route = "POST /v1/accounts/{account}/messages"
    return {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "content-type": "application/json",
            "host": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "idempotency-key": f"order-{serial}",
            "user-agent": "orders/3.2",
            "x-amz-date": "20260301T070405Z",
            "x-amzn-trace-id": "Root=1-69a3e2f5-000000000000000000000004",
            "x-forwarded-for": "198.51.100.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "111122223333",
            "apiId": "a1b2c3d4e5",
            "domainName": "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "a1b2c3d4e5",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "198.51.100.7",
                "userAgent": "orders/3.2",
            },
            "requestId": f"ZkQ1{serial:08d}EMxQ=",
            "routeKey": route,
            "stage": "$default",
            "time": "01/Mar/2026:07:04:05 +0000",
            "timeEpoch": 1772348645000,
        },
        "pathParameters": {"account": "account-0"},
        "body": json.dumps(message(serial), ensure_ascii=False),
        "isBase64Encoded": False,
    }


class Context:
    """What Lambda says of an invocation; it has a quarter of an hour, so that no batch is put off."""

    aws_request_id = "c6af9ac6-7b61-4c9d-8d6e-1f2a3b4c5d6e"
    function_name = "bench"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:111122223333:function:bench"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds that are left."""
        return 900_000
