"""EventBridge Scheduler as the core meets it."""

from __future__ import annotations

from wechat_notify.core.schedules.schedule import Schedule, SchedulePage


class FakeSchedules:
    """The schedules of all accounts; nothing fires."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], Schedule] = {}

    def put(self, schedule: Schedule) -> bool:
        key = schedule.account, schedule.name
        created = key not in self.stored
        self.stored[key] = schedule
        return created

    def read(self, account: str, name: str) -> Schedule | None:
        return self.stored.get((account, name))

    def delete(self, account: str, name: str) -> bool:
        return self.stored.pop((account, name), None) is not None

    def page(self, account: str, token: str | None, limit: int) -> SchedulePage:
        names = sorted(name for of, name in self.stored if of == account and name > (token or ""))
        return SchedulePage(names[:limit], names[limit - 1] if len(names) > limit else None)
