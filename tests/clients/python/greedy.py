"""Many threads of a real library at once, each of which tries again without a pause. Arguments: threads, tries.

Prints one line of JSON: how many uploads were answered rightly, how many wrongly, and what the others ended with.
"""

import collections
import json
import sys
import threading

from unicaps import CaptchaSolver, CaptchaSolvingService
from unicaps._service import twocaptcha

import expected
from checks import HTTP, KEY

twocaptcha.Service.BASE_URL = HTTP
THREADS, TRIES = int(sys.argv[1]), int(sys.argv[2])
ended: collections.Counter[str] = collections.Counter()
counting = threading.Lock()


def solve(number: int) -> str:
    solver = CaptchaSolver(CaptchaSolvingService.TWOCAPTCHA, KEY)
    for settings in solver._service.settings.values():
        settings.polling_delay, settings.polling_interval, settings.solution_timeout = 0.05, 0.2, 60
    text = f"what is {number} and one"
    return "right" if solver.solve_text_captcha(text).solution.text == expected.text(text) else "wrong"


def work(number: int) -> None:
    for _ in range(TRIES):
        try:
            how = solve(number)
        except Exception as error:  # the library has a class for each code
            how = type(error).__name__
        with counting:
            ended[how] += 1
        if how in ("right", "wrong"):
            return


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(ended))
