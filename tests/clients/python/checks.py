"""One line on stdout per operation, `ok`, `not offered` or `FAILED`: `../run` reads them and insists on all of them."""

import json
import os
import pathlib
import sys
import traceback

import sitecustomize  # the guard: without it this import, or the next line, fails and nothing is sent

sitecustomize.prove()

HTTP = os.environ["CAPGATE_HTTP"]  # http://127.0.0.1:PORT
HTTPS = os.environ["CAPGATE_HTTPS"]  # https://127.0.0.1:PORT
KEY = os.environ["CAPGATE_KEY"]
UNKNOWN_KEY = os.environ["CAPGATE_UNKNOWN_KEY"]
PICTURES = [str(path) for path in sorted(pathlib.Path(os.environ["CAPGATE_PICTURES"]).iterdir())]


def contents(path: str) -> bytes:
    return pathlib.Path(path).read_bytes()


def equal(got, expected) -> None:
    if got != expected:
        raise AssertionError(f"expected {expected!r}, got {got!r}")


def is_balance(got) -> None:
    if not (isinstance(got, float) and got > 0):
        raise AssertionError(f"expected a balance, got {got!r}")


def raises(code: str, call) -> None:
    """`call` must end in an error of the library that names `code`."""
    try:
        got = call()
    except Exception as error:
        if code not in str(error):
            raise AssertionError(f"expected an error naming {code}, got {error!r}") from error
    else:
        raise AssertionError(f"expected {code}, got {got!r}")


def ok(operation: str) -> None:
    emit("ok", operation)


def failed(operation: str, error: BaseException) -> None:
    emit("FAILED", operation, f"{type(error).__name__}: {error}")
    traceback.print_exception(error, file=sys.stderr)


def check(operation: str, steps) -> None:
    try:
        steps()
    except Exception as error:
        failed(operation, error)
    else:
        ok(operation)


def not_offered(operation: str, owner=None, *names: str) -> None:
    """The library has no such call. `names` are what it would be called: one that appears makes this fail."""
    found = [name for name in names if hasattr(owner, name)]
    if found:
        failed(operation, AssertionError(f"called `not offered` here, but the library has {found}"))
    else:
        emit("not offered", operation)


def emit(outcome: str, operation: str, why: str = "") -> None:
    print(json.dumps({"outcome": outcome, "operation": operation, "why": why}), flush=True)
