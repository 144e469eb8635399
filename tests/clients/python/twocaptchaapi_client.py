"""twocaptchaapi: images only, by file, in plain http to the real name; follows HTTP_PROXY, hence the absolute form."""

import twocaptchaapi

import expected
from checks import KEY, PICTURES, UNKNOWN_KEY, check, contents, equal, is_balance, not_offered
from receiver import receiver, register

api = twocaptchaapi.TwoCaptchaApi(KEY)
one, two, three, four = PICTURES


def solve(picture, **parameters):
    return api.solve(picture, {"method": "post", **parameters}).await_result(sleep_time=0.2)


def file():
    equal(api.solve(one).await_result(0.2), expected.image(contents(one)))  # its own default parameters
    with open(two, "rb") as opened:
        equal(api.solve(opened).await_result(0.2), expected.image(contents(two)))


def report_bad():
    captcha = api.solve(three)
    captcha.await_result(0.2)
    captcha.report_bad()  # raises on any other reply than the recorded one


def unknown_key():
    try:
        got = twocaptchaapi.TwoCaptchaApi(UNKNOWN_KEY).solve(one)
    except twocaptchaapi.OperationFailedError as error:
        if "ERROR_KEY_DOES_NOT_EXIST" in str(error):
            return
        raise
    raise AssertionError(f"expected its OperationFailedError, got {got!r}")


def pingback():
    with receiver() as (url, told):
        register(url)
        equal(solve(four, pingback=url), expected.image(contents(four)))  # it polls all the same
        equal(told()["code"], expected.image(contents(four)))


check("image file", file)
not_offered("image base64", api, "solve_base64")
check("image digits", lambda: equal(solve(two, numeric=1), expected.digits(contents(two))))
not_offered("text", api, "solve_text")
check("grid", lambda: equal(solve(three, recaptcha=1, textinstructions="cars"), expected.grid(contents(three))))
check("coordinates", lambda: equal(solve(one, coordinatescaptcha=1), expected.coordinates_text(contents(one))))
check("rotate", lambda: equal(solve(two, method="rotatecaptcha", angle=30), expected.rotate([contents(two)], 30)))
for operation in ("recaptcha v2", "hcaptcha", "turnstile", "funcaptcha", "keycaptcha", "geetest", "geetest v4"):
    not_offered(operation, api, "solve_token", "solve_" + operation.replace(" ", "_"))  # an image is always required
not_offered("several ids", api, "get_results")
check("pingback", pingback)
check("balance", lambda: is_balance(api.get_balance()))
not_offered("report good", twocaptchaapi.Captcha, "report_good")
check("report bad", report_bad)
check("unknown key", unknown_key)
