"""captchatools. Its uploads and polls are plain http to the real name and follow HTTP_PROXY, so they arrive in absolute
form; its balance call is https to the real name, so it needs a hosts entry, port 443 and a trusted certificate."""

import base64

import captchatools

import expected
from checks import KEY, PICTURES, UNKNOWN_KEY, check, contents, equal, is_balance, not_offered

PAGE = expected.PAGE_URL


def harvester(captcha_type, key=KEY, **options):
    return captchatools.new_harvester(solving_site="2captcha", api_key=key, captcha_type=captcha_type, **options)


def image():
    for picture in PICTURES[:2]:
        body = base64.b64encode(contents(picture)).decode()
        equal(harvester("image").get_token(b64_img=body), expected.image(contents(picture)))


def token(captcha_type, site):
    equal(harvester(captcha_type, sitekey=site, captcha_url=PAGE).get_token(), expected.token(site))


def unknown_key():
    try:
        got = harvester("image", UNKNOWN_KEY).get_balance()
    except captchatools.exceptions.WrongAPIKeyException:
        return
    raise AssertionError(f"expected its WrongAPIKeyException, got {got!r}")


made = harvester("image")
not_offered("image file", made, "get_token_from_file")
check("image base64", image)
not_offered("image digits", made, "numeric")
not_offered("text", made, "get_text")
not_offered("grid", made, "get_grid")
not_offered("coordinates", made, "get_coordinates")
not_offered("rotate", made, "get_rotate")
check("recaptcha v2", lambda: token("v2", "site-c"))
check("hcaptcha", lambda: token("hcaptcha", "site-d"))
not_offered("turnstile", made, "turnstile")
not_offered("funcaptcha", made, "funcaptcha")
not_offered("keycaptcha", made, "keycaptcha")
not_offered("geetest", made, "geetest")
not_offered("geetest v4", made, "geetest_v4")
not_offered("several ids", made, "get_tokens")
not_offered("pingback", made, "pingback", "callback")
check("balance", lambda: is_balance(made.get_balance()))
not_offered("report good", made, "report_good", "report")
not_offered("report bad", made, "report_bad", "report")
check("unknown key", unknown_key)
