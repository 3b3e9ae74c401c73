from local.processes import locked_requirements


def test_entries_of_a_lock_file() -> None:
    lock = """\
# by a tool
Boto3==1.2 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
cffi==2 ; platform_python_implementation != 'PyPy' \\
    --hash=sha256:cc
typing_extensions==4 \\
    --hash=sha256:dd
"""
    entries = dict(locked_requirements(lock))
    assert set(entries) == {"boto3", "cffi", "typing-extensions"}
    assert entries["boto3"].count("--hash") == 2
    assert entries["typing-extensions"].endswith("sha256:dd")
