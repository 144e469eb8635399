"""2captcha-python as it is: one thread a captcha, each begun at its moment. Prints when which captcha was told."""

import base64
import json
import random
import sys
import threading
import time

from twocaptcha import TwoCaptcha

SERVER, KEY, KINDS = sys.argv[1:4]
PAUSE_S, CAPTCHAS = int(sys.argv[4]), int(sys.argv[5])
EVERY_S = float(sys.argv[6])

chance = random.Random(7)
told_at: dict[str, int] = {}
failed: list[str] = []


def image(number: int) -> str:
    return base64.b64encode(b"GIF89a" + f"{number:0200}".encode()).decode()


def solve(number: int, is_image: bool) -> None:
    solver = TwoCaptcha(KEY, server=SERVER, pollingInterval=PAUSE_S, defaultTimeout=600)
    try:
        if is_image:
            solved = solver.normal(image(number))
        else:
            solved = solver.recaptcha(f"key-{number}", f"https://shop-{number % 7}.example/login")
        told_at[solved["captchaId"]] = time.time_ns() // 1_000_000
    except Exception as error:  # whatever it is, the row cannot be measured
        failed.append(f"{number}: {error!r}")


began = time.monotonic()
moment = 0.0
threads = []
for number in range(CAPTCHAS):
    moment += chance.expovariate(1 / EVERY_S)
    is_image = {"images": True, "tokens": False, "both": chance.random() < 0.5}[KINDS]
    threads.append(threading.Timer(max(0.0, moment - (time.monotonic() - began)), solve, (number, is_image)))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if failed:
    sys.exit("\n".join(failed))
print(json.dumps(told_at))
