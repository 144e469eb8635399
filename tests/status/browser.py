"""Headless Chromium: what a person sees of the page, and what the page asks for."""

import base64
import json
import pathlib
import shutil
import tempfile
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

WAIT_S = 20
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--font-render-hinting=none",
    "--no-proxy-server",
    "--window-size=1200,900",
)


class Browser:
    def __init__(self, folder: pathlib.Path):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        self.profile = tempfile.mkdtemp(prefix="profile-", dir=folder)
        for switch in (*SWITCHES, f"--user-data-dir={self.profile}"):
            options.add_argument(switch)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.asked_for: list[str] = []

    def close(self) -> None:
        self.driver.quit()

    def open(self, url: str) -> None:
        self.driver.get(url)

    def js(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, element_id: str) -> str:
        return self.js("return document.getElementById(arguments[0]).textContent.trim()", element_id)

    def number(self, element_id: str) -> float:
        return float(self.text(element_id).replace(",", "").replace("$", ""))

    def state(self) -> str:
        return self.js("return document.getElementById('state').dataset.state")

    def wait(self, what: str, condition):
        limit = time.monotonic() + WAIT_S
        while not (found := condition()):
            if time.monotonic() > limit:
                raise AssertionError(f"{what}: not within {WAIT_S} s; the page says\n{self.text('main')}")
            time.sleep(0.05)  # between two looks at the condition
        return found

    def console(self) -> list[str]:
        """What the page complained of since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Every address that the page and its files asked for so far."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent" and self.is_ours(message["params"]["documentURL"]):
                self.asked_for.append(message["params"]["request"]["url"])
        return self.asked_for

    @staticmethod
    def is_ours(document: str) -> bool:
        """The browser has pages of its own, such as the empty one that it begins with."""
        return not document.startswith(("chrome", "about:", "data:"))

    def prefer(self, scheme: str) -> None:
        """`light` or `dark`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.cdp("Emulation.setEmulatedMedia", features=[feature])

    def narrow(self, width: int, height: int = 900) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def picture(self, path: pathlib.Path, width: int = 1200) -> None:
        """The whole page."""
        self.narrow(width)
        self.narrow(width, self.js("return document.documentElement.scrollHeight"))
        path.write_bytes(base64.b64decode(self.cdp("Page.captureScreenshot", format="png")["data"]))

    def cdp(self, command: str, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def accessibility(self, axe: str) -> list[str]:
        """What axe has to say: contrast, names, roles, order, keyboard."""
        self.js(axe)
        violations = self.driver.execute_async_script(
            "axe.run(document).then((result) => arguments[0](result.violations))"
        )
        return [
            f"{violation['id']}: {violation['help']}: {node['html']} {node['failureSummary']}"
            for violation in violations
            for node in violation["nodes"]
        ]
