"""``python -m local.simulator``: WeChat on a local port until SIGTERM or Ctrl-C."""

import argparse
import json
import signal
import sys
import threading

from local.simulator.server import Simulator


def _app(text: str) -> tuple[str, str]:
    app_id, _, secret = text.partition("=")
    if not app_id or not secret:
        raise argparse.ArgumentTypeError("APPID=SECRET expected")
    return app_id, secret


def main() -> int:
    """Run until told to stop; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local.simulator", description="A WeChat for the laptop.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--app", type=_app, action="append", default=[], metavar="APPID=SECRET")
    parser.add_argument("--seed", type=int, help="makes ids and the chances of faults repeatable")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        simulator = Simulator(dict(options.app), host=options.host, port=options.port, seed=options.seed)
    except (OSError, OverflowError) as error:
        print(f"cannot listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 1
    with simulator:
        print(json.dumps({"url": simulator.url}), flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
