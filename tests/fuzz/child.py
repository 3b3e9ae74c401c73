"""``python -m tests.fuzz.child``: libFuzzer in this process, with its own arguments."""

import gc
import sys

import atheris

with atheris.instrument_imports(include=["wechat_notify", "defusedxml", "json"]):
    from tests.fuzz.targets import fuzz

if __name__ == "__main__":
    gc.enable()  # the package leaves that to a function's first answer
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
