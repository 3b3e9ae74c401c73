"""The commands of the documents, run against the stack: each page on an account of its own."""

import dataclasses
from pathlib import Path

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


@pytest.fixture(scope="module")
def accounts(service: Service) -> dict[Path, str]:
    """An account for each page, with a token."""
    names = {page: f"page-{number}" for number, page in enumerate(SESSIONS)}
    for name in names.values():
        service.add_account(name)
    service.client("lambda").invoke(FunctionName=service.state.token_refresh_function, Payload=b"{}")
    return names


@pytest.mark.parametrize("page", SESSIONS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_do_what_is_shown(
    page: Path, service: Service, accounts: dict[Path, str], tmp_path: Path
) -> None:
    session.checkout(tmp_path)
    state = dataclasses.replace(service.state, account=accounts[page])
    state.write(tmp_path / STATE_FILE)
    language = "zh" if page.stem.endswith("zh-CN") or DOCS / "zh" in page.parents else "en"
    environment = session.variables(tmp_path, language) | {
        "AWS_ENDPOINT_URL": state.aws_endpoint_url,
        "AWS_DEFAULT_REGION": state.region,
        "AWS_ACCESS_KEY_ID": state.access_key_id,
        "AWS_SECRET_ACCESS_KEY": state.secret_access_key,
    }
    # The documents know one account on this machine.
    names = {state.account: service.state.account}
    differences = session.run(page_blocks(page), tmp_path, environment, names)
    assert not differences, "\n".join(differences)
