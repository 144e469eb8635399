"""What a person must be able to see, one check after the other on one gateway; each is named by a sentence."""

import contextlib
import pathlib
import tempfile
import traceback

from browser import Browser
from stage import CLIENTS, Stage

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def all_of(run, binary: pathlib.Path, work: pathlib.Path) -> int:
    failed = 0
    folder = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=work))
    with contextlib.ExitStack() as stack:
        stage = Stage(run, binary, folder, stack, fast=True)
        browser = Browser(folder)
        stack.callback(browser.close)
        stage.axe = (work / "node" / "node_modules" / "axe-core" / "axe.min.js").read_text()
        stage.pictures = work
        browser.open(stage.admin_at + "/")
        browser.js("window.was_never_reloaded = true")
        for function in CHECKS:
            name = function.__name__.replace("_", " ")
            try:
                function(stage, browser)
                print(f"ok      {name}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
                browser.picture(work / f"failed-{function.__name__}.png")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


def take_pictures(run, binary: pathlib.Path, work: pathlib.Path, into: pathlib.Path, after_s: int) -> int:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=work))
    with contextlib.ExitStack() as stack:
        stage = Stage(run, binary, folder, stack, fast=False)
        stage.switch(faults={"unsolvable": "1/40"})
        stage.play()
        browser = Browser(folder)
        stack.callback(browser.close)
        while stage.status()["uptime_seconds"] < after_s:
            stage.stop_playing.wait(1)
        browser.open(stage.admin_at + "/")
        browser.wait("it is live", lambda: browser.text("live") == "live")
        for scheme in ("light", "dark"):
            browser.prefer(scheme)
            browser.picture(into / f"status-page-{scheme}.png", 1120)
    return 0


# ---- a quiet gateway, then a busy one -------------------------------------------------------------------------------


@check
def a_quiet_gateway_is_open(stage: Stage, browser: Browser):
    browser.wait("it is live", lambda: browser.text("live") == "live")
    assert browser.state() == "open" and browser.text("state") == "Open"
    assert browser.driver.title == "Open · capgate"
    assert browser.number("open") == 0 and browser.text("horizon") == "nobody has asked yet"


@check
def numbers_rise_without_a_reload(stage: Stage, browser: Browser):
    stage.play()
    first = browser.wait("captchas are being solved", lambda: browser.number("open"))
    assert first > 0
    answers = lambda: browser.js(
        "return [...document.querySelectorAll('[data-client] td:nth-child(4)')].map((cell) => +cell.textContent)"
    )
    before = browser.wait("a client has answers", lambda: answers() if sum(answers()) else None)
    browser.wait("it has more", lambda: sum(answers()) >= sum(before) + 3)
    names = browser.js("return [...document.querySelectorAll('[data-client]')].map((row) => row.dataset.client)")
    assert names == sorted(CLIENTS), names
    browser.wait("columns are drawn", lambda: browser.js("return document.querySelectorAll('.drawing .solved').length"))
    browser.wait("the money is told", lambda: browser.text("horizon").startswith("lasts "))
    assert browser.number("money") > 900
    budget = lambda client: browser.js(f"return document.querySelector('[data-client={client}] td:last-child').textContent")
    taken = lambda: budget("crawler") not in ("5,000 today", "–")
    browser.wait("captchas are taken from a client's budget", taken)
    assert budget("crawler").endswith(" today") and budget("data-team").startswith("$") and budget("web-tests") == "–"
    assert browser.js("return window.was_never_reloaded")


@check
def every_budget_has_its_bar(stage: Stage, browser: Browser):
    bars = browser.js(
        "return [...document.querySelectorAll('.budgets [role=meter]')]"
        ".map((bar) => [bar.getAttribute('aria-valuetext'), bar.querySelector('.used').getBoundingClientRect().width])"
    )
    budgets = stage.status()["budgets"]
    assert len(bars) == len(budgets) == 7, bars
    used = lambda: browser.js("return document.querySelector('[data-rule=max_user_turn] .used').getBoundingClientRect().width")
    browser.wait("uploads fill their bar", lambda: used() > 0)


@check
def light_and_dark_differ_and_both_can_be_read(stage: Stage, browser: Browser):
    grounds = {}
    for scheme in ("light", "dark"):
        browser.prefer(scheme)
        grounds[scheme] = browser.js("return getComputedStyle(document.body).backgroundColor")
        faults = browser.accessibility(stage.axe)
        assert not faults, "\n".join(faults)
        browser.picture(stage.pictures / f"open-{scheme}.png")
    browser.narrow(1200)
    assert grounds["light"] != grounds["dark"], grounds


@check
def a_narrow_screen_does_not_scroll_sideways(stage: Stage, browser: Browser):
    for width in (1200, 800, 390, 320):
        browser.narrow(width)
        wide = browser.js("return document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} at {width}"
    browser.picture(stage.pictures / "narrow.png", 390)
    browser.narrow(1200)


@check
def it_can_be_operated_by_keyboard(stage: Stage, browser: Browser):
    reached = browser.js(
        "return [...document.querySelectorAll('a, [tabindex]')].filter((it) => it.tabIndex >= 0 && it.checkVisibility())"
        ".map((it) => { it.focus(); return document.activeElement === it; })"
    )
    assert len(reached) >= 4 and all(reached), reached
    # Focus stays where it is while the page changes under it.
    browser.js("document.querySelector('footer a').focus()")
    uptime = browser.text("footer")
    browser.wait("the page has changed", lambda: browser.text("footer") != uptime)
    assert browser.js("return document.activeElement.textContent") == "JSON"


# ---- states ---------------------------------------------------------------------------------------------------------


def comes_and_can_be_read(stage: Stage, browser: Browser, state: str) -> None:
    browser.wait(state, lambda: browser.state() == state)
    for scheme in ("dark", "light"):
        browser.prefer(scheme)
        faults = browser.accessibility(stage.axe)
        assert not faults, "\n".join(faults)
    browser.picture(stage.pictures / f"{state}.png")
    browser.narrow(1200)


@check
def a_block_is_counted_down_and_ends_by_itself(stage: Stage, browser: Browser):
    stage.switch(faults={"MAX_USER_TURN@in": "next 1"})
    comes_and_can_be_read(stage, browser, "blocked")
    left = lambda: browser.js("return document.querySelector('.when .count')?.textContent.trim()")
    first = left()
    assert first.startswith("in "), first
    browser.wait("it counts down", lambda: left() != first)
    assert "MAX_USER_TURN" in browser.text("main")
    browser.wait("it is over", lambda: browser.state() == "open")


@check
def no_money_is_told_with_what_to_do(stage: Stage, browser: Browser):
    stage.switch(balance="0")
    comes_and_can_be_read(stage, browser, "no_money")
    # The simulator charges what it had accepted before.
    browser.wait("nothing is left", lambda: browser.text("money").startswith(("−", "$0.00")))
    assert "Pay in." in browser.text("main") and browser.text("horizon") == "used up"
    assert browser.driver.title == "No money · capgate"
    stage.switch(balance="1000")
    stage.clear_latches()
    browser.wait("it is over", lambda: browser.state() == "open")


@check
def a_service_that_does_not_answer_is_told(stage: Stage, browser: Browser):
    stage.switch(faults={"html_502": 1})
    comes_and_can_be_read(stage, browser, "unanswered")
    assert "status 502" in browser.text("main")
    stage.switch(faults={"html_502": None})
    browser.wait("it is over", lambda: browser.state() == "open")


@check
def a_refused_key_is_told_until_an_operator_mends_it(stage: Stage, browser: Browser):
    stage.switch(key="another-account-key-000000000000")
    comes_and_can_be_read(stage, browser, "key_refused")
    assert "ERROR_KEY_DOES_NOT_EXIST" in browser.text("main")
    stage.switch(key=stage.run.UPSTREAM_KEY)
    stage.clear_latches()
    browser.wait("it is over", lambda: browser.state() == "open")
    assert browser.js("return window.was_never_reloaded")


# ---- the page itself ------------------------------------------------------------------------------------------------


@check
def nobody_complained_and_nothing_else_was_asked_for(stage: Stage, browser: Browser):
    assert browser.console() == []
    asked = browser.requests()
    assert len(asked) > 10, asked
    others = {url for url in asked if not url.startswith(stage.admin_at + "/")}
    assert not others, others


@check
def a_hidden_page_asks_for_nothing(stage: Stage, browser: Browser):
    fetches = lambda: browser.js(
        "return performance.getEntriesByType('resource').filter((it) => it.initiatorType === 'fetch').length"
    )
    browser.driver.minimize_window()
    assert browser.js("return document.hidden")
    browser.wait("it pauses", lambda: browser.text("live") == "paused")
    # A call that was under way has ended by now; three more would have followed in this time.
    before, answered = fetches(), stage.status()["uptime_seconds"]
    browser.wait("time passes", lambda: stage.status()["uptime_seconds"] >= answered + 5)
    assert fetches() <= before + 1
    browser.driver.set_window_rect(0, 0, 1200, 900)
    browser.wait("it goes on when it is seen again", lambda: fetches() >= before + 2)
    assert browser.text("live") == "live"


@check
def a_lost_connection_is_told_and_found_again(stage: Stage, browser: Browser):
    stage.stop_gateway()
    browser.wait("it says so", lambda: browser.js("return !document.getElementById('lost').hidden"))
    assert browser.text("lost").startswith("Connection lost since "), browser.text("lost")
    assert browser.text("live") == "not live"
    faults = browser.accessibility(stage.axe)
    assert not faults, "\n".join(faults)
    browser.picture(stage.pictures / "lost.png")
    browser.narrow(1200)
    stage.gateway = stage.start_gateway()
    browser.wait("it is back", lambda: browser.js("return document.getElementById('lost').hidden"))
    browser.wait("it is live", lambda: browser.state() == "open" and browser.text("live") == "live")
    assert browser.js("return window.was_never_reloaded")
    assert all("ERR_CONNECTION_REFUSED" in line or "ERR_INCOMPLETE" in line for line in browser.console())


@check
def without_javascript_the_page_is_whole(stage: Stage, browser: Browser):
    browser.cdp("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(stage.admin_at + "/")
        source = browser.driver.page_source
    finally:
        browser.cdp("Emulation.setScriptExecutionDisabled", value=False)
    for text in ('http-equiv="refresh"', "Open", "web-tests", "1005_looks", "UTC</time>"):
        assert text in source, text
