import io
from pathlib import Path

import pytest

from wxn.errors import CommandError, ExitCode
from wxn.json_files import read_object, read_objects


def written(folder: Path, content: str | bytes, name: str = "message.json") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def refused(path: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        read_objects(path)
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty."),
        (" \n\ufeff".encode(), "is not JSON"),
        (b"{}\n\xff", "is not UTF-8 (line 2)."),
        ("[{}]", "holds a list"),
        ("3", "holds no JSON object."),
        ('{"a": 1, "a": 2}', '"a" is given twice in one object'),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": "\\ud800"}', "half of a surrogate pair"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1e999}', "1e999 is too large a number"),
        ('{"a": ' + "1" * 5000 + "}", "a number of too many digits"),
        ('{"a": 1}\n{"a": }', "line 2, column 7"),
        ('{"a": 1}\n{"a": NaN}', "line 2: NaN is not JSON"),
    ],
)
def test_refused_content(tmp_path: Path, content: str | bytes, told: str) -> None:
    assert told in refused(written(tmp_path, content)).message


def test_broken_json_shows_the_place(tmp_path: Path) -> None:
    """Each Chinese character moves the caret by two columns."""
    path = written(tmp_path, '{\n\t"a": "巧克力" "b"\n}')

    _, line, caret = refused(path).message.split("\n")

    assert (line, caret) == ('   "a": "巧克力" "b"', " " * 17 + "^")


def test_long_line_is_cut(tmp_path: Path) -> None:
    told = refused(written(tmp_path, '{"a": "' + "x" * 5000 + '" "b"' + " " * 5000 + "}")).message

    assert len(told.split("\n")[1]) < 100


def test_objects_over_several_lines(tmp_path: Path) -> None:
    assert "a line of its own" in refused(written(tmp_path, '{\n"a": 1}\n{\n"a": 2}')).next_step


def test_missing_file(tmp_path: Path) -> None:
    assert "There is no file" in refused(str(tmp_path / "none.json")).message


def test_directory(tmp_path: Path) -> None:
    assert "is a directory" in refused(str(tmp_path)).message


def test_objects_in_lines(tmp_path: Path) -> None:
    path = written(tmp_path, '\ufeff{"a": 1}\n\n{"a": 2}\r\n')

    assert read_objects(path) == [(1, {"a": 1}), (3, {"a": 2})]


def test_object_over_several_lines(tmp_path: Path) -> None:
    assert read_objects(written(tmp_path, '{"a":\n1}\n')) == [(1, {"a": 1})]


def test_suffix_of_lines(tmp_path: Path) -> None:
    assert "line 1, column 2" in refused(written(tmp_path, "{\n}", "messages.jsonl")).message


@pytest.mark.parametrize(("number", "value"), [("39.80", "39.80"), ("1e3", 1000.0), ("42", 42)])
def test_decimals_keep_their_digits(tmp_path: Path, number: str, value: object) -> None:
    assert read_object(written(tmp_path, f'{{"a": {number}}}')) == {"a": value}


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO('{"a": "巧"}'.encode())))

    assert read_object("-") == {"a": "巧"}


def test_file_without_end() -> None:
    """Such as a device: what is read of it has a limit."""
    assert "is larger than 64 MiB" in refused("/dev/zero").message
