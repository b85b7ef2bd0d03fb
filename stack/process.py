"""One child process with a log file, a readiness condition and a certain end."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import httpx
import psutil

__all__ = [
    "LOOPBACK",
    "Interrupted",
    "StackError",
    "accepts",
    "answers",
    "command_line",
    "free_port",
    "interruptible",
    "pause",
    "python_tool",
    "running",
    "stopped",
    "wait_for",
]

LOOPBACK = "127.0.0.1"
_GRACE_SECONDS = 15.0
_GLANCE_SECONDS = 0.05
_RARELY_SECONDS = 0.5
_ENDING = (signal.SIGINT, signal.SIGTERM)
_interruptions: list[int] = []


class StackError(Exception):
    """A part did not start; the message ends with the last lines of its log."""


class Interrupted(StackError):  # noqa: N818 - as KeyboardInterrupt, it is nobody's fault
    """Somebody asked this process to stop, by Ctrl-C or SIGTERM."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM end what `pause` and `wait_for` wait for in the block, nothing else.

    Python would raise KeyboardInterrupt wherever it is: also between the start of a process and the
    line that sees to its end, and in code that is compiled, after which `python -m` ends by SIGINT
    although the exception was caught. After the block both signals are ignored: for this process is
    about to end, as it was asked to.
    """

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if not _interruptions:
            os.write(sys.stdout.fileno(), b"\nStopping ...\n")  # Python may be writing just now
        _interruptions.append(number)

    for number in _ENDING:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in _ENDING:
            signal.signal(number, signal.SIG_IGN)


def pause(seconds: float) -> None:
    """Sleep for *seconds*; raise `Interrupted` once somebody has asked this process to stop."""
    end = time.monotonic() + seconds
    while not _interruptions:
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _GLANCE_SECONDS))
    raise Interrupted("stopped")


def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def python_tool(name: str) -> str:
    """Return the path of the console script *name* beside the running Python."""
    return str(Path(sys.executable).with_name(name))


def answers(url: str, *, status: int = 200, auth: tuple[str, str] | None = None) -> bool:
    """Return whether a GET of *url*, which is no https, is answered with *status* now."""
    try:
        # Without certificates, which take 20 ms to read.
        return httpx.get(url, timeout=2, auth=auth, verify=False).status_code == status
    except httpx.HTTPError:
        return False


def command_line(process: psutil.Process) -> str:
    """Return the words that *process* was started with, nothing if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def accepts(port: int) -> bool:
    """Return whether something accepts connections on *port* of loopback now."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=2).close()
    except OSError:
        return False
    return True


def wait_for(
    condition: Callable[[], object], what: str, *, timeout: float = 150, interval: float = 0.05
) -> None:
    """Return once *condition* holds; raise `StackError` naming *what* after *timeout* seconds.

    It looks every *interval* at most, and more rarely the longer it waits: to look costs what is
    waited for its share of the processor. Raises `Interrupted` as `pause` does.
    """
    began = time.monotonic()
    while not condition():
        waited = time.monotonic() - began
        if waited > timeout:
            raise StackError(f"{what}: not within {timeout:g} s")
        pause(max(interval, min(waited / 20, _RARELY_SECONDS)))


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    ready: Callable[[], object],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
    timeout: float = 300,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command* until the block ends, entering it once *ready* holds.

    Its output goes to *log*; *env* is added to this process's environment. At the end the whole
    process tree is stopped: by *stop_signal*, and by SIGKILL what is left after 15 seconds.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            user=user,
            # A Ctrl-C at the terminal must reach the parts through us, in order.
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, command, log, ready, timeout)
        yield process
    finally:
        _stop(process, stop_signal)


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Let processes hang until the block ends."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _wait_until_ready(
    process: subprocess.Popen[bytes],
    command: Sequence[str],
    log: Path,
    ready: Callable[[], object],
    timeout: float,
) -> None:
    name = Path(command[0]).name
    try:
        wait_for(lambda: process.poll() is not None or ready(), f"{name} is ready", timeout=timeout)
    except Interrupted:
        raise
    except StackError as error:
        raise StackError(f"{error}; its log ends:\n{_tail(log)}") from None
    if process.poll() is not None:
        raise StackError(f"{name} ended with {process.returncode}; its log ends:\n{_tail(log)}")


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    descendants = _descendants(process.pid)
    if process.poll() is None:
        process.send_signal(stop_signal)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    _, alive = psutil.wait_procs({*descendants, *_descendants(process.pid)}, timeout=1)
    for child in alive:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(alive, timeout=5)
    process.wait()


def _descendants(pid: int) -> set[psutil.Process]:
    """Return the living processes that *pid* started, itself included, even if it is gone."""
    found = {process for process in psutil.process_iter() if _session(process.pid) == pid}
    with suppress(psutil.NoSuchProcess):
        found.update(psutil.Process(pid).children(recursive=True))
    return found


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
