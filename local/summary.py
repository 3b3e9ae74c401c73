from __future__ import annotations

import json
import os
from pathlib import Path

from local.state_file import State


def summary(state: State, state_file: Path, seconds: float) -> str:
    """What a person wants to know when the stack is up."""
    wechat = f"{state.wechat_api_base}"
    if state.simulator_url:
        wechat += "   (simulator; open it in a browser to see the messages arrive)"
    rows = {
        "HTTP API": state.api_url,
        "Its page": f"{state.aws_endpoint_url}/docs",
        "Account": state.account,
        "Send queue": state.send_queue_url,
        "Event bus": state.event_bus_name,
        "Schedules": f"group {state.schedule_group}, role {state.schedule_role_arn}",
        "AWS": f"{state.aws_endpoint_url}   (region {state.region})",
        "Keys": f"{state.access_key_id}  {state.secret_access_key}",
        "WeChat": wechat,
        "Logs": f"CloudWatch log groups /aws/lambda/{state.stack_name}/…; below as they come (wxn tail)",
        "In a file": os.path.relpath(state_file),
    }
    message = {
        "kind": "subscription",
        "touser": "openid-1",
        "template_id": "9Aw5ZV1j9xdWTFEkqCpZ7mIBbSC34khK55OtzUPl0rU",
        "page": "index",
        "miniprogram_state": "formal",
        "lang": "zh_CN",
        "data": {"date2": {"value": "2026年12月1日"}, "thing1": {"value": "TIT会议室"}},
    }
    table = "\n".join(f"  {name:<11}{value}" for name, value in rows.items())
    return f"""
WeChat Notify is up after {seconds:.1f} s. Ctrl-C stops it.

{table}

A first message:

  curl --aws-sigv4 aws:amz:{state.region}:execute-api \\
    --user {state.access_key_id}:{state.secret_access_key} \\
    --header 'Content-Type: application/json' \\
    --data '{json.dumps(message, ensure_ascii=False)}' \\
    {state.api_url}/v1/accounts/{state.account}/messages

Or an example, in a second terminal:

  .venv/bin/wxn trigger subscription
"""
