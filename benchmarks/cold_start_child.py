"""One cold start: import the handler, answer the first event; run by ``cold_start`` in a fresh interpreter.

No ``site``, no ``PYTHON…`` variables, no writing of byte code: as in Lambda, where /opt is read-only. The
first line of standard input says what to import and from where, each further one is an event.
"""

# What Lambda's own runtime client has imported before it looks at a handler (awslambdaric/bootstrap.py).
import base64  # noqa: F401 - only to be there
import datetime  # noqa: F401, ICN001 - only to be there
import decimal  # noqa: F401 - only to be there
import importlib
import json
import logging  # noqa: F401 - only to be there
import os
import re  # noqa: F401 - only to be there
import sys
import time
import traceback  # noqa: F401 - only to be there
import uuid  # noqa: F401 - only to be there
import warnings  # noqa: F401 - only to be there
from pathlib import Path

_OK = 200


def _resident_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def main() -> None:
    """Start, and say what it took."""
    told = json.loads(sys.stdin.readline())
    event = json.loads(sys.stdin.readline())
    sys.path.insert(0, str(Path(__file__).parent))
    context = importlib.import_module("events").Context()  # this folder is no package here
    importlib.import_module("trust").trust(os.environ["BENCHMARK_CA_FILE"])
    del sys.path[0]
    sys.path[:0] = told["first"]
    sys.path += told["last"]
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    began = time.perf_counter()
    handler = importlib.import_module(told["module"]).lambda_handler
    answer = handler(event, context)
    took = {"wall": time.perf_counter() - began, "rss": _resident_mb()}
    if answer.get("batchItemFailures") or answer.get("statusCode", _OK) != _OK:
        raise RuntimeError(answer)
    for line in sys.stdin:
        handler(json.loads(line), context)
    answers.write(json.dumps(took | {"rss_later": _resident_mb()}))
    answers.close()


main()
