"""The tests run with the garbage collector on, which the service leaves off until its first event is over."""

import gc
import os

import pytest

import wechat_notify  # noqa: F401 - it turns the collector off
from tests.documented import DocumentedAnswers

gc.enable()
# The command line speaks the language of the locale.
os.environ["LC_ALL"] = "C.UTF-8"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(DocumentedAnswers())
