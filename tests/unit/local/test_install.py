from local.install import locked


def test_entries_of_a_lock_file() -> None:
    lock = """\
# by a tool
Boto3==1.2 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
cffi==2 ; platform_python_implementation != 'PyPy' \\
    --hash=sha256:cc
"""
    boto3, cffi = locked(lock)
    assert boto3.startswith("Boto3==1.2")
    assert boto3.count("--hash") == 2
    assert cffi.endswith("sha256:cc")
