"""Values on a disk that may be full: none is lost, and no process is ended by the kernel."""

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.mmap_dict import mmap_key

from flowgauge.server import prometheus_files
from flowgauge.server.reserved import ReservedDict

_NUMBERS = st.floats(allow_nan=False)


def _key(label: str) -> str:
    key: str = mmap_key("hits", "hits_total", ["key"], [label], "help")
    return key


def _in_a_process(do: Callable[[], object]) -> None:
    """Call *do* in a process of its own, which it may restrict, and see that it ends well."""
    pid = os.fork()
    if not pid:
        try:
            do()
        except BaseException:  # noqa: BLE001 - pytest must not go on in this process
            os.write(2, f"{pytest.ExceptionInfo.from_current().getrepr()}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def _allow_files_of(size: int) -> None:
    """Have every longer file of this process fail, as on a full disk."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size if size >= 0 else most, most))


@settings(max_examples=20, deadline=None)
@given(values=st.lists(st.tuples(st.text(max_size=3000), _NUMBERS), max_size=40))
def test_the_file_is_what_prometheus_client_writes(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str, float]]
) -> None:
    """Any keys and numbers, in any order, are read as they were written, while it is open."""
    file = tmp_path_factory.mktemp("values") / "counter_1.db"
    kept = ReservedDict(str(file))
    for label, number in values:
        kept.write_value(_key(label), number, 0.0)
        assert kept.read_value(_key(label)) == (number, 0.0)
    if values:
        assert prometheus_files.read(file) == {_key(label): number for label, number in values}
    kept.close()


def test_a_new_value_is_0(folder: Path) -> None:
    """What is asked for is kept from then on."""
    kept = ReservedDict(str(folder / "counter_1.db"))
    assert kept.read_value(_key("a")) == (0.0, 0.0)
    assert prometheus_files.read(folder / "counter_1.db") == {_key("a"): 0.0}
    kept.close()


def test_what_finds_no_room_waits_for_it(folder: Path) -> None:
    """On a full disk what has its place goes on being shown; the rest comes once there is room."""
    file = folder / "counter_1.db"
    many = [str(number) * 100 for number in range(400)]

    def fill() -> None:
        kept = ReservedDict(str(file))
        kept.write_value(_key("first"), 1.0, 0.0)
        _allow_files_of(1 << 16)
        for label in many:
            kept.write_value(_key(label), 2.0, 0.0)
            assert kept.read_value(_key(label)) == (2.0, 0.0)
        kept.write_value(_key("first"), 3.0, 0.0)
        shown = prometheus_files.read(file)
        assert shown[_key("first")] == 3.0
        assert len(shown) < len(many)
        with pytest.raises(OSError, match="File too large"):
            kept.settle()
        _allow_files_of(-1)
        kept.settle()

    _in_a_process(fill)
    assert prometheus_files.read(file) == {_key("first"): 3.0} | {_key(each): 2.0 for each in many}


def test_a_disk_that_is_full_from_the_beginning(folder: Path) -> None:
    """A process starts, counts, and shows what it counted as soon as it can."""
    file = folder / "counter_1.db"

    def fill() -> None:
        _allow_files_of(100)
        kept = ReservedDict(str(file))
        for number in range(5):
            kept.write_value(_key("a"), number, 0.0)
        assert prometheus_files.read(file) == {}
        _allow_files_of(-1)
        kept.settle()

    _in_a_process(fill)
    assert prometheus_files.read(file) == {_key("a"): 4.0}


def test_what_a_cleaner_took_away_is_written_again(folder: Path) -> None:
    """Counting goes on while the folder is away, and nothing is missing once it is back."""
    file = folder / "metrics" / "counter_1.db"
    file.parent.mkdir()
    kept = ReservedDict(str(file))
    kept.write_value(_key("a"), 1.0, 0.0)
    kept.write_value(_key("b"), 2.0, 0.0)
    shutil.rmtree(file.parent)
    kept.write_value(_key("b"), 3.0, 0.0)
    with pytest.raises(FileNotFoundError):
        kept.settle()
    kept.write_value(_key("b"), 4.0, 0.0)
    file.parent.mkdir()
    kept.settle()
    kept.write_value(_key("b"), 5.0, 0.0)
    assert prometheus_files.read(file) == {_key("a"): 1.0, _key("b"): 5.0}
    kept.close()


@pytest.mark.as_root
def test_nothing_is_written_where_somebody_else_rules(folder: Path) -> None:
    """Who owns the folder could cut a file off, and so end this process."""
    file = folder / "theirs" / "counter_1.db"
    file.parent.mkdir()
    os.chown(file.parent, 65534, -1)
    kept = ReservedDict(str(file))
    kept.write_value(_key("a"), 1.0, 0.0)
    assert not file.exists()
    kept.close()
