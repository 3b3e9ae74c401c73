from tests.unit.conftest import service

__all__ = ["service"]
