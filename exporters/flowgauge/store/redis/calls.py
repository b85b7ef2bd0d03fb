"""Commands to a Redis, over one connection of a pool.

redis-py's client does the same, but brings a method for every command there is.
"""

from collections.abc import Sequence
from functools import cache
from inspect import Parameter, signature
from typing import Any

from redis.connection import ConnectionPool
from redis.exceptions import ResponseError

__all__ = ["Command", "ask"]

Command = Sequence[str | int]


def ask(pool: ConnectionPool, *commands: Command) -> Sequence[Any]:
    """Send *commands* at once and return their answers, which may be errors.

    Raises what else redis-py raises.
    """
    connection: Any = pool.get_connection(*_name(type(pool)))
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        return [_answer(connection) for _ in commands]
    except BaseException:
        # An answer may still come.
        connection.disconnect()
        raise
    finally:
        pool.release(connection)


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


@cache
def _name(kind: type[ConnectionPool]) -> Sequence[str]:
    # Before 5.3 redis-py wants the name of a command, which it does not use; now it warns of one.
    parameter = signature(kind.get_connection).parameters["command_name"]
    return ["EVALSHA"] if parameter.default is Parameter.empty else []
