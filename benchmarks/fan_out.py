"""Broadcasts: how many rows one vCPU checks and releases, and the memory that it takes.

The recipients' file and what is made of it lie on the disk in the place of S3, the records in memory; calls
to the queue go to the server over TLS, through boto3. The peer is a loop over ``csv.DictReader``, which reads
the file once and knows neither bad rows nor crashes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import events
from benchmarks.figures import NAIVE, PRODUCT, Comparison
from benchmarks.processes import Server, interleaved, workers

SECTION = "fan-out"
CHECK_CASE = "rows that one vCPU checks a second"
RELEASE_CASE = "rows that one vCPU releases a second"
FEW, MANY = 10_000, 1_000_000
_QUEUE = "https://sqs.us-east-1.amazonaws.com/111122223333/broadcast"
_ACCOUNT, _ID = "shop", "campaign"
_RATE = 10_000.0
_MESSAGE = {
    "kind": "template",
    "touser": "{{openid}}",
    "template_id": events.TEMPLATE_ID,
    "url": "https://example.com/orders/{{order}}",
    "data": {"thing1": {"value": "{{name}}"}, "character_string2": {"value": "{{order}}"}},
}


def memory_case(rows: int = MANY) -> str:
    """The name of the comparison."""
    return f"memory with {rows:,} rows"


def write_file(path: Path, rows: int) -> None:
    """A recipients' file: one row in fifty is listed twice."""
    with path.open("w", encoding="utf-8") as file:
        file.write("openid,name,order\n")
        for row in range(rows):
            person = row - 1 if row % 50 == 0 and row else row
            file.write(f"oABCD{person:023d},王小明的礼盒,20260301-{row:08d}\n")


class _Disk:
    """The bucket as the core meets it, as files in a folder."""

    _BLOCK = 1024 * 1024

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, key: str) -> Path:
        return self._folder / key.replace("/", "_")

    def head(self, key: str) -> Any:
        from wechat_notify.core.broadcasts.ports import ObjectHead  # noqa: PLC0415 - only in this worker

        return ObjectHead(self.path(key).stat().st_size, "etag", 0.0)

    def read(
        self,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        etag: str | None = None,  # noqa: ARG002
    ) -> Iterator[bytes]:
        with self.path(key).open("rb") as file:
            file.seek(start)
            left = (end if end is not None else self.path(key).stat().st_size) - start
            while left > 0 and (block := file.read(min(self._BLOCK, left))):
                left -= len(block)
                yield block

    def write(self, key: str, data: bytes) -> None:
        self.path(key).write_bytes(data)


class _Records:
    """The table as the core meets it: nobody else writes."""

    def __init__(self) -> None:
        self._broadcast: Any = None
        self._chunks: dict[int, Any] = {}
        self._pace: Any = None

    def put(self, broadcast: Any) -> None:
        self._broadcast = broadcast

    def read(self, _account: str, _id: str) -> Any:
        return self._broadcast

    def put_chunk(self, chunk: Any) -> None:
        self._chunks[chunk.number] = chunk

    def read_chunks(self, _account: str, _id: str, numbers: Sequence[int]) -> list[Any]:
        return [self._chunks[number] for number in numbers]

    def read_pace(self, account: str) -> Any:
        from wechat_notify.core.broadcasts.broadcast import AccountPace  # noqa: PLC0415 - the same

        return self._pace or AccountPace(account)

    def put_pace(self, pace: Any) -> None:
        self._pace = pace


class _Quiet:
    """Steps that nobody else takes, messages that nobody sends, an account that nothing holds."""

    def send(self, *_: object) -> None:
        pass

    def read_many(self, *_: object) -> dict[str, Any]:
        return {}

    def of(self, _account: str) -> tuple[()]:
        return ()


class Product:
    """The engine of broadcasts, with its queue."""

    def __init__(self) -> None:
        from wechat_notify.aws.broadcast_queues import RowQueue  # noqa: PLC0415 - only in this worker
        from wechat_notify.aws.clients import Clients  # noqa: PLC0415 - the same
        from wechat_notify.aws.queue import Queue  # noqa: PLC0415 - the same

        self._rows = RowQueue(Queue(Clients(), _QUEUE))

    def broadcast(self, rows: int, released: int) -> dict[str, float]:
        """Check a file and release some of its rows; rows a second of CPU, and the memory so far."""
        from wechat_notify.core.broadcasts.broadcast import State  # noqa: PLC0415 - only in this worker

        with TemporaryDirectory() as folder:
            run, record, tick = self._engine(Path(folder), rows)
            checking = time.process_time()
            while record().state is State.CHECKING:
                run()
            releasing = time.process_time()
            while record().next_row <= released:
                tick(record().next_release_at)
                run()
            ended = time.process_time()
            return {
                "check": rows / (releasing - checking),
                "release": (record().next_row - 1) / (ended - releasing),
                "megabytes": _megabytes(),
            }

    def _engine(
        self, folder: Path, rows: int
    ) -> tuple[Callable[[], None], Callable[[], Any], Callable[[float], None]]:
        """A step of a new broadcast, its record, and the hand of its clock: nobody waits for a pace here."""
        from wechat_notify.core.broadcasts.creating import NewBroadcasts  # noqa: PLC0415 - as above
        from wechat_notify.core.broadcasts.engine import Engine  # noqa: PLC0415 - the same
        from wechat_notify.core.broadcasts.ports import Services  # noqa: PLC0415 - the same
        from wechat_notify.core.broadcasts.spec import parse_spec  # noqa: PLC0415 - the same

        clock = [time.time()]
        disk = _Disk(folder)
        objects: Any = disk  # these have no more than is used here
        store: Any = _Records()
        quiet: Any = _Quiet()
        write_file(disk.path(f"{_ACCOUNT}/uploads/file"), rows)
        ids = iter(range(10**9))
        services = Services(
            store,
            objects,
            self._rows,
            steps=quiet,
            entries=quiet,
            holds=quiet,
            events=quiet,
            templates=lambda _: None,
            cancel_message=lambda *_: None,
            has_receipts=lambda _: False,
            now=lambda: clock[0],
            new_id=lambda: str(next(ids)),
            ceiling=_RATE,
        )
        spec = parse_spec({"message": _MESSAGE, "upload": "file"}, clock[0])
        NewBroadcasts(services).create(_ACCOUNT, _ID, spec)
        engine = Engine(services)

        def record() -> Any:
            return store.read(_ACCOUNT, _ID)

        def tick(to: float) -> None:
            clock[0] = max(clock[0], to)

        return lambda: engine.run(_ACCOUNT, _ID, record().step), record, tick


class Naive:
    """A loop as it is written in a hurry."""

    def __init__(self) -> None:
        import boto3  # noqa: PLC0415 - only in this worker

        self._sqs = boto3.client("sqs")

    def broadcast(self, rows: int, released: int) -> dict[str, float]:
        """Look for recipients listed twice, then send the rows in tens; all openids are in memory."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            write_file(path, rows)
            checking = time.process_time()
            wanted = self._check(path)
            releasing = time.process_time()
            self._release(path, wanted, released)
            ended = time.process_time()
        return {
            "check": rows / (releasing - checking),
            "release": released / (ended - releasing),
            "megabytes": _megabytes(),
        }

    def _check(self, path: Path) -> set[int]:
        seen: set[str] = set()
        wanted: set[int] = set()
        for number, row in enumerate(_rows(path)):
            json.loads(_rendered(row))
            if row["openid"] and row["openid"] not in seen:
                seen.add(row["openid"])
                wanted.add(number)
        return wanted

    def _release(self, path: Path, wanted: set[int], released: int) -> None:
        entries: list[Any] = []
        for number, row in enumerate(_rows(path)):
            if number >= released:
                break
            if number in wanted:
                message = json.loads(_rendered(row))
                body = json.dumps({"id": f"{_ID}:{number}", "account": _ACCOUNT, "message": message})
                entries.append({"Id": str(len(entries)), "MessageBody": body, "DelaySeconds": 0})
            if len(entries) == 10:  # noqa: PLR2004 - SQS's most
                self._send(entries)
        if entries:
            self._send(entries)

    def _send(self, entries: list[Any]) -> None:
        if self._sqs.send_message_batch(QueueUrl=_QUEUE, Entries=entries).get("Failed"):
            raise RuntimeError("not all were taken")
        entries.clear()


def _rows(path: Path) -> Iterator[dict[str, str]]:
    import csv  # noqa: PLC0415 - only in this worker

    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


_TEXT = json.dumps({name: value for name, value in _MESSAGE.items() if name != "kind"}, ensure_ascii=False)


def _rendered(row: dict[str, str]) -> str:
    text = _TEXT
    for name, value in row.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return text


def _megabytes() -> float:
    """The most memory that this process has used so far."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    assert found  # nosec B101 # for the type checker
    return int(found[1]) / 1024


def measure(server: Server, rounds: int, *, quick: bool) -> list[Comparison]:
    """Both side by side, then the memory of a process with few rows and of one with many."""
    rows, released = (5_000, 2_000) if quick else (100_000, 20_000)
    with workers(server, {PRODUCT: Product, NAIVE: Naive}) as made:
        took = interleaved(made, rounds, "broadcast", rows=rows, released=released)
    found = [
        Comparison.of(SECTION, case, "rows/s", took, field=field)
        for case, field in ((CHECK_CASE, "check"), (RELEASE_CASE, "release"))
    ]
    many = MANY // 10 if quick else MANY
    memory = {
        PRODUCT: [_alone(server, Product, many)],
        NAIVE: [_alone(server, Naive, many)],
        f"{FEW:,} rows": [_alone(server, Product, FEW)],
    }
    return [*found, Comparison.of(SECTION, memory_case(many), "MB", memory, field="megabytes")]


def _alone(server: Server, subject: type, rows: int) -> dict[str, float]:
    """A broadcast in a process of its own, which releases one chunk."""
    with workers(server, {"": subject}) as made:
        answer: dict[str, float] = made[""].call("broadcast", rows=rows, released=FEW)
        return answer
