from __future__ import annotations

import functools
import os
from typing import Any


@functools.cache
def session() -> Any:
    """The boto3 session, which knows nothing of the host's profiles, endpoints and keys.

    One for the process: for its first client it reads AWS's list of endpoints, a tenth of a second's work.
    """
    import boto3  # noqa: PLC0415 - the stack imports it while its processes start
    import botocore.session  # noqa: PLC0415

    absent = (None, None, os.devnull, None)
    host = {"profile": (None, None, None, None), "config_file": absent, "credentials_file": absent}
    return boto3.Session(botocore_session=botocore.session.Session(session_vars=host))
