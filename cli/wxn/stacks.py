"""The stack that a command works on: the one of ``make up``, or one in AWS."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from wxn.aws_errors import configuration_error
from wxn.errors import CommandError, ExitCode
from wxn.language import text

STATE_FILE: Final = Path(".local/stack.json")
_NEEDED: Final = {"api_url", "aws_endpoint_url", "region", "access_key_id", "secret_access_key"}


@dataclass(frozen=True)
class StackOptions:
    """The options and variables that choose a stack."""

    stack: str | None = None
    profile: str | None = None
    region: str | None = None


class Stack:
    """A deployed stack.

    Parameters
    ----------
    name
        Its name in CloudFormation.
    profile, region
        Of the AWS configuration; None leaves them to it.
    laptop
        The content of ``.local/stack.json`` for the stack of ``make up``, else None.
    """

    def __init__(
        self,
        name: str,
        profile: str | None = None,
        region: str | None = None,
        laptop: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.laptop = laptop
        self._profile = profile
        self._region = region

    @property
    def region(self) -> str:
        """Its region."""
        region: str | None = self.session.region_name
        if region is None:
            raise CommandError(
                text("No AWS region is set.", "没有设置 AWS 区域。"),
                text("Give --region, or set AWS_REGION.", "请用 --region 指定，或设置 AWS_REGION。"),
                ExitCode.NO_ACCESS,
            )
        return region

    @property
    def title(self) -> str:
        """A name for people: where messages will go."""
        if self.laptop is not None:
            return text("the stack on this machine", "本机环境")
        return f"{self.name} ({self.region})"

    @cached_property
    def session(self) -> Any:
        """The boto3 session for this stack."""
        import boto3  # noqa: PLC0415 - --help starts without it
        import botocore.session  # noqa: PLC0415

        if self.laptop is None:
            # boto3 reads AWS_DEFAULT_REGION only; Lambda, CDK and the other SDKs read AWS_REGION.
            region = self._region or os.environ.get("AWS_REGION") or None
            return boto3.Session(profile_name=self._profile, region_name=region)
        # Nothing of this machine's AWS configuration counts for the emulator.
        absent = (None, None, os.devnull, None)
        host = {"profile": (None, None, None, None), "config_file": absent, "credentials_file": absent}
        return boto3.Session(
            aws_access_key_id=self.laptop["access_key_id"],
            aws_secret_access_key=self.laptop["secret_access_key"],
            region_name=self.laptop["region"],
            botocore_session=botocore.session.Session(session_vars=host),
        )

    @property
    def ca_bundle(self) -> str | bool:
        """The file of certificates by which boto3 verifies AWS, such as a company's own; True for the usual ones."""
        configured: str | None = self.session._session.get_config_variable("ca_bundle")  # noqa: SLF001 - boto3 has no other way
        return configured or os.environ.get("REQUESTS_CA_BUNDLE") or True

    def client(self, service: str, *, read_timeout: int = 20, attempts: int = 5) -> Any:
        """A boto3 client by the service's boto3 name; ``read_timeout`` is in seconds."""
        from botocore.config import Config  # noqa: PLC0415

        retries: Any = {"mode": "standard", "total_max_attempts": attempts}
        standard = Config(
            connect_timeout=5,
            read_timeout=read_timeout,
            retries=retries,
            user_agent_extra="wxn",  # CloudTrail tells by it what was done with this command
        )
        if self.laptop is None:
            _ = self.region
            try:
                return self.session.client(service, config=standard)
            except ValueError as error:  # an endpoint of the environment that is no URL
                raise configuration_error(error) from None
        # The host's proxies do not reach the loopback interface.
        config = standard.merge(Config(proxies={}))
        return self.session.client(service, config=config, endpoint_url=self.laptop["aws_endpoint_url"])

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """The stack as CloudFormation describes it."""
        described: Mapping[str, Any]
        (described,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return described

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """The outputs of the stack."""
        outputs = self.description.get("Outputs", [])
        return _Parts(self.name, {output["OutputKey"]: output["OutputValue"] for output in outputs})

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The parameters that the stack was deployed with."""
        return {p["ParameterKey"]: p["ParameterValue"] for p in self.description.get("Parameters", [])}

    @cached_property
    def resources(self) -> Mapping[str, str]:
        """The physical ids of the stack's resources by their logical ids."""
        pages = (
            self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        )
        found = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if resource.get("PhysicalResourceId")
        }
        return _Parts(self.name, found)

    @property
    def api_url(self) -> str:
        """The address of the HTTP API, without a slash at its end."""
        return str(self.laptop["api_url"]) if self.laptop is not None else self.outputs["ApiUrl"]


class _Parts(dict[str, str]):
    """Outputs or resources of a stack by their names; CommandError for one that the stack does not have."""

    def __init__(self, stack: str, parts: Mapping[str, str]) -> None:
        super().__init__(parts)
        self._stack = stack

    def __missing__(self, name: str) -> str:
        raise CommandError(
            text(
                f"The stack {self._stack} does not have {name}: it is another one, an older one, or its deployment "
                "failed.",
                f"环境 {self._stack} 中没有 {name}：它不是本服务、版本较旧，或部署失败。",
            ),
            text("Check --stack; look for the cause: wxn doctor", "请检查 --stack；排查原因：wxn doctor"),
            ExitCode.NO_ACCESS,
        )


def find(options: StackOptions, environment: Mapping[str, str], folder: Path) -> Stack:
    """The stack that ``--stack`` names, else WXN_STACK, else that of ``make up`` in this folder or above it.

    Raises
    ------
    CommandError
        If there is none.
    """
    name = options.stack or environment.get("WXN_STACK")
    if name:
        return Stack(name, options.profile, options.region)
    for parent in (folder, *folder.parents):
        state = parent / STATE_FILE
        # One of another user's, as in /tmp, could name an address that collects secrets.
        if state.is_file() and state.stat().st_uid == os.getuid():
            return _on_this_machine(state)
    raise CommandError(
        text("There is no stack to work on.", "找不到可用的环境。"),
        text(
            "Start one on this machine with make up, or name one in AWS with --stack.",
            "请用 make up 在本机启动，或用 --stack 指定 AWS 上的环境。",
        ),
        ExitCode.NO_ACCESS,
    )


def _on_this_machine(state: Path) -> Stack:
    try:
        laptop = json.loads(state.read_text("utf-8"))
    except (OSError, ValueError):
        laptop = None
    if not isinstance(laptop, dict) or _NEEDED - laptop.keys():
        raise CommandError(
            text(f"{state} cannot be read.", f"无法读取 {state}。"),
            text("Start the stack again: make up.", "请重新运行 make up。"),
            ExitCode.NO_ACCESS,
        )
    return Stack(laptop.get("stack_name", "wechat-notify"), laptop=laptop)
