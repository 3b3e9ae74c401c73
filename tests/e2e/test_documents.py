"""The commands of the documents, run against the stack: each page on an account of its own."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.documents import session
from tests.documents.blocks import DOCS, PAGES, ROOT, page_blocks
from tests.documents.translations import shows_the_same
from tests.e2e.conftest import Service
from wxn.stacks import STATE_FILE

SESSIONS = [
    page for page in PAGES if any(block.runs for block in page_blocks(page)) and not shows_the_same(page)
]
"""A Chinese page with the outputs of its English one is left out: it has the same commands, too."""

_AT_A_TIME = 3
"""Pages mostly wait, or start interpreters."""

Differences = Mapping[Path, "Future[list[str]]"]


@pytest.fixture(scope="module")
def differences(
    service: Service, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Differences]:
    """The differences of all pages. Pages run side by side, a page and its translation in turn."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    wanted: list[Any] = [item.callspec.params["page"] for item in items if item.path == request.path]
    accounts = {page: f"page-{number}" for number, page in enumerate(wanted)}
    for name in accounts.values():
        service.add_account(name)
    service.client("lambda").invoke(FunctionName=service.state.token_refresh_function, Payload=b"{}")
    found: dict[Path, Future[list[str]]] = {page: Future() for page in wanted}

    def run_in_turn(pages: Sequence[Path]) -> None:
        for page in pages:
            try:
                folder = tmp_path_factory.mktemp(page.stem)
                found[page].set_result(run(page, service, accounts[page], folder))
            except BaseException as error:  # noqa: BLE001 - the page's test raises it
                found[page].set_exception(error)

    by_name = itertools.groupby(sorted(wanted, key=lambda page: page.name), lambda page: page.name)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for _, pages in by_name:
            pool.submit(run_in_turn, list(pages))
        yield found


def run(page: Path, service: Service, account: str, folder: Path) -> list[str]:
    session.checkout(folder)
    state = dataclasses.replace(service.state, account=account)
    state.write(folder / STATE_FILE)
    language = "zh" if page.stem.endswith("zh-CN") or DOCS / "zh" in page.parents else "en"
    environment = session.variables(folder, language) | {
        "AWS_ENDPOINT_URL": state.aws_endpoint_url,
        "AWS_DEFAULT_REGION": state.region,
        "AWS_ACCESS_KEY_ID": state.access_key_id,
        "AWS_SECRET_ACCESS_KEY": state.secret_access_key,
    }
    # The documents know one account on this machine.
    return session.run(page_blocks(page), folder, environment, {account: service.state.account})


@pytest.mark.parametrize("page", SESSIONS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_do_what_is_shown(page: Path, differences: Differences) -> None:
    found = differences[page].result()
    assert not found, "\n".join(found)
