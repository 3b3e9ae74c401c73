"""AWS's services as boto3's clients ask them: an object for a service, with a method for each operation.

A method is given the request's fields by their names and returns the answer's, or raises ``Refusal``. The
simulation puts virtual time and faults on the way to them (``tests/simulation/clients.py``), chaos has
several threads at the queue. The fakes at the core's protocols (``tests/fakes/ledger_store.py`` and the like)
are not built on these: a unit test looks at entries and tokens, and would have to read DynamoDB's JSON
instead, with the adapters' own mistakes in it. The same contract tests hold both.
"""

from typing import Any


class Refusal(Exception):  # noqa: N818 - it is AWS's answer
    """A service refuses a request; its first argument is AWS's error code."""

    def __init__(self, code: str, **said: Any) -> None:
        super().__init__(code)
        self.code = code
        self.said = said
