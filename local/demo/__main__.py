"""Every kind of message through every door, and a broadcast meanwhile, counted at the other end.

Starts a stack of its own on free ports, so that it does not meet one that is up, and ends it again. The
exit status is 0 only if WeChat (the simulator) accepted exactly the messages it should have, each once.
"""

from __future__ import annotations

import argparse
import sys
import time

from rich.console import Console

from local.client import accepted, get_json
from local.demo.broadcast import Broadcast
from local.demo.doors import Doors
from local.demo.report import broadcast_table, differences, doors_table, print_verdict, summary
from local.processes import LocalStackError
from local.settings import Settings
from local.signals import ending_on_signals
from local.stack import Stack

# How long an unwanted second copy gets to show up.
_SETTLE_SECONDS = 0.5
_NEXT = """
Next:
  make up                              the same stack, until Ctrl-C
  .venv/bin/wxn trigger subscription   an example, from a second terminal
  README.md                            "Try it", and "Read on"
"""


def run(console: Console, stack: Stack, began: float) -> bool:
    """Go through every door while a broadcast goes on; True if all is as it should be."""
    broadcast, doors = Broadcast(stack, console.print), Doors(stack, console.print)
    doors.post_first()
    console.print(
        f"The first messages were sent {time.time() - began:.0f} s after the start", highlight=False
    )
    broadcast.begin()
    doors.run()
    broadcast.end()
    time.sleep(_SETTLE_SECONDS)
    expected = [*doors.expected, *broadcast.expected]
    problems = [
        *doors.problems,
        *broadcast.problems,
        *differences(expected, accepted(stack.state), dead_letters(stack)),
    ]
    console.print(doors_table(doors.rows))
    console.print(broadcast_table(broadcast.columns))
    console.print(summary(get_json(f"{stack.state.simulator_url}/_sim/stats")))
    print_verdict(console, problems, time.time() - began)
    return not problems


def dead_letters(stack: Stack) -> int:
    """The count of messages in the dead letter queue."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    sqs = stack.client("sqs", stack.state.access_key_id, stack.state.secret_access_key)
    answer = sqs.get_queue_attributes(QueueUrl=stack.state.dead_letter_queue_url, AttributeNames=names)
    return sum(int(number) for number in answer["Attributes"].values())


def main() -> None:
    """Run the demo; the exit status is 0 if all is as it should be, 1 if not, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="local.demo", description="The whole service, once")
    parser.add_argument("--began", type=float, default=time.time(), help="its start, in seconds since 1970")
    began = parser.parse_args().began
    console = Console()
    status = 130
    try:
        with ending_on_signals(), Stack(Settings(), report=console.print) as stack:
            status = 0 if run(console, stack, began) else 1
    except LocalStackError as error:
        sys.exit(f"demo: {error}")
    if status == 0:
        console.print(_NEXT, highlight=False)
    sys.exit(status)


if __name__ == "__main__":
    main()
