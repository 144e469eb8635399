"""2captcha-python, both classes: https always, to its `server` argument. Argument: `sync` or `async`."""

import asyncio
import base64
import inspect
import json
import sys

from twocaptcha import AsyncTwoCaptcha, TwoCaptcha

import expected
from checks import HTTPS, KEY, PICTURES, UNKNOWN_KEY, check, contents, equal, is_balance, not_offered, raises
from receiver import receiver, register

SERVER = HTTPS.removeprefix("https://")
SOLVER = {"sync": TwoCaptcha, "async": AsyncTwoCaptcha}[sys.argv[1]]
PAGE = expected.PAGE_URL


def call(method, *arguments, **parameters):
    """Runs a call of either class to its end, so that both go through the same checks."""
    result = method(*arguments, **parameters)
    return asyncio.run(result) if inspect.isawaitable(result) else result


def solver(**options):
    return SOLVER(
        options.pop("key", KEY), server=SERVER, pollingInterval=1, defaultTimeout=30, recaptchaTimeout=30, **options
    )


plain, extended = solver(), solver(extendedResponse=True)
one, two, three, four = PICTURES


def solve(method, *arguments, **parameters):
    return call(method, *arguments, **parameters)["code"]


def base64_image():
    body = base64.b64encode(contents(two)).decode()
    equal(solve(plain.normal, body), expected.image(contents(two)))
    equal(solve(extended.normal, body), expected.image(contents(two)))


def coordinates():
    equal(solve(plain.coordinates, one), expected.coordinates_text(contents(one)))
    equal(solve(extended.coordinates, one), expected.coordinates_json(contents(one)))


def rotate():
    equal(solve(plain.rotate, one), expected.rotate([contents(one)]))
    equal(solve(plain.rotate, PICTURES[:3], angle=15), expected.rotate([contents(p) for p in PICTURES[:3]], 15))


def recaptcha():
    equal(solve(plain.recaptcha, "site-r", PAGE), expected.token("site-r"))
    equal(solve(extended.recaptcha, "site-s", PAGE, invisible=1, datas="s+/= value"), expected.token("site-s"))


def geetest():
    equal(json.loads(solve(plain.geetest, "gt-1", "challenge-1", PAGE)), expected.geetest("gt-1", "challenge-1"))
    equal(solve(extended.geetest, "gt-2", "challenge-2", PAGE), expected.geetest("gt-2", "challenge-2"))


def geetest_v4():
    equal(json.loads(solve(plain.geetest_v4, "v4-1", PAGE)), expected.geetest_v4("v4-1"))
    equal(solve(extended.geetest_v4, "v4-2", PAGE), expected.geetest_v4("v4-2"))


def report(correct):
    solved = call(plain.normal, one if correct else two)
    equal(call(plain.report, solved["captchaId"], correct), "OK_REPORT_RECORDED")


def pingback():
    """With a callback the library does not poll and gives nothing back, not even an id: what is pushed is all it gets."""
    with receiver() as (url, told):
        register(url)
        equal(call(solver(callback=url).normal, four), None)
        equal(told()["code"], expected.image(contents(four)))


QUESTION = "Wie heißt die Hauptstadt von Österreich? 1+1&2=3"
check("image file", lambda: equal(solve(plain.normal, one), expected.image(contents(one))))
check("image base64", base64_image)
check("image digits", lambda: equal(solve(plain.normal, three, numeric=1), expected.digits(contents(three))))
check("text", lambda: equal(solve(plain.text, QUESTION), expected.text(QUESTION)))
check("grid", lambda: equal(solve(plain.grid, two, hintText="the boats"), expected.grid(contents(two))))
check("coordinates", coordinates)
check("rotate", rotate)
check("recaptcha v2", recaptcha)
check("hcaptcha", lambda: equal(solve(plain.hcaptcha, "site-h", PAGE), expected.token("site-h")))
check("turnstile", lambda: equal(solve(extended.turnstile, "site-t", PAGE), expected.token("site-t")))
check(
    "funcaptcha",
    lambda: equal(solve(plain.funcaptcha, "pk-1", PAGE, **{"data[blob]": "b"}), expected.funcaptcha("pk-1")),
)
check(
    "keycaptcha", lambda: equal(solve(plain.keycaptcha, "user-1", "s", "w", "w2", PAGE), expected.keycaptcha("user-1"))
)
check("geetest", geetest)
check("geetest v4", geetest_v4)
not_offered("several ids", plain, "get_results", "results", "get_ids")
check("pingback", pingback)
check("balance", lambda: is_balance(call(plain.balance)))
check("report good", lambda: report(True))
check("report bad", lambda: report(False))
check("unknown key", lambda: raises("ERROR_KEY_DOES_NOT_EXIST", lambda: call(solver(key=UNKNOWN_KEY).balance)))
