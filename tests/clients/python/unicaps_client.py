"""unicaps. The base URL is an attribute of its service class. It polls with `get2` and reads the price."""

from unicaps import CaptchaSolver, CaptchaSolvingService
from unicaps._service import twocaptcha
from unicaps.common import CaptchaCharType

import expected
from checks import HTTP, KEY, PICTURES, UNKNOWN_KEY, check, contents, equal, is_balance, not_offered, raises

twocaptcha.Service.BASE_URL = HTTP
PAGE = expected.PAGE_URL


def solver(key=KEY):
    made = CaptchaSolver(CaptchaSolvingService.TWOCAPTCHA, key)
    for settings in made._service.settings.values():
        settings.polling_delay, settings.polling_interval, settings.solution_timeout = 0.05, 0.2, 30
    return made


unicaps = solver()
one, two, three, *_ = PICTURES


def solve(method, *arguments, **parameters):
    solved = method(*arguments, **parameters)
    is_balance(solved.cost)  # a price: only `get2` gives one
    return solved.solution


def as_geetest(solution):
    return {
        "geetest_challenge": solution.challenge,
        "geetest_validate": solution.validate,
        "geetest_seccode": solution.seccode,
    }


def keycaptcha():
    answer = solve(
        unicaps.solve_keycaptcha, page_url=PAGE, user_id="user-2", session_id="s", ws_sign="w", ws_sign2="w2"
    )
    equal(answer.token, expected.keycaptcha("user-2"))


def geetest():
    answer = solve(unicaps.solve_geetest, page_url=PAGE, gt_key="gt-3", challenge="challenge-3")
    equal(as_geetest(answer), expected.geetest("gt-3", "challenge-3"))


def geetest_v4():
    equal(vars(solve(unicaps.solve_geetest_v4, PAGE, captcha_id="v4-3")), expected.geetest_v4("v4-3"))


def digits():
    answer = solve(unicaps.solve_image_captcha, contents(two), char_type=CaptchaCharType.NUMERIC)
    equal(answer.text, expected.digits(contents(two)))


def report(picture, verdict):
    solved = unicaps.solve_image_captcha(contents(picture))
    equal(getattr(solved, verdict)(raise_exc=True), True)


QUESTION = "Какой сегодня день?"
not_offered("image file", twocaptcha, "ImageFileTaskRequest")  # a path is read and sent as base64
check(
    "image base64", lambda: equal(solve(unicaps.solve_image_captcha, contents(one)).text, expected.image(contents(one)))
)
check("image digits", digits)
check("text", lambda: equal(solve(unicaps.solve_text_captcha, QUESTION).text, expected.text(QUESTION)))
not_offered("grid", unicaps, "solve_grid")
not_offered("coordinates", unicaps, "solve_coordinates")
not_offered("rotate", unicaps, "solve_rotate")
check("recaptcha v2", lambda: equal(solve(unicaps.solve_recaptcha_v2, "site-u", PAGE).token, expected.token("site-u")))
check("hcaptcha", lambda: equal(solve(unicaps.solve_hcaptcha, "site-v", PAGE).token, expected.token("site-v")))
not_offered("turnstile", unicaps, "solve_turnstile")
check("funcaptcha", lambda: equal(solve(unicaps.solve_funcaptcha, "pk-2", PAGE).token, expected.funcaptcha("pk-2")))
check("keycaptcha", keycaptcha)
check("geetest", geetest)
check("geetest v4", geetest_v4)
not_offered("several ids", unicaps, "get_results")
not_offered("pingback", unicaps, "pingback", "callback")
check("balance", lambda: is_balance(unicaps.get_balance()))
check("report good", lambda: report(one, "report_good"))
check("report bad", lambda: report(three, "report_bad"))
check("unknown key", lambda: raises("ERROR_KEY_DOES_NOT_EXIST", solver(UNKNOWN_KEY).get_balance))
