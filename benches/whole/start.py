"""How soon it is ready, and how large the program is."""

import contextlib
import pathlib
import re
import statistics
import subprocess

from servers import HERE, Place, Programs
from table import Row

GROUP = "Start and size"
# 20 a second for 15 minutes: the most that the upstream's rules let be there.
MOST_ALLOWED = 18_000


def measure(programs: Programs, folder: pathlib.Path, stores: list[int], rounds: int) -> list[Row]:
    rows = []
    for captchas in stores:
        with contextlib.ExitStack() as stack:
            place = Place(programs, folder / f"start-{captchas}", stack)
            if captchas:
                place.fill(captchas, solved_one_in=2)
            times = []
            for _ in range(rounds):
                with contextlib.ExitStack() as each:
                    times.append(place.capgate(each).ready_s() * 1e3)
        what = f"ready, with {captchas:,} captchas in the store" if captchas else "ready, with an empty store"
        limit = 200 if captchas <= MOST_ALLOWED else None
        rows.append(Row(GROUP, what, "ms", statistics.median(times), at_most=limit))
    return rows + sizes(programs.capgate)


def sizes(binary: pathlib.Path) -> list[Row]:
    """The image holds what the Containerfile collects: the program, the libraries that it is linked with, the settings."""
    linked = subprocess.run(["ldd", binary], capture_output=True, text=True, check=True).stdout
    libraries = {pathlib.Path(path).resolve() for path in re.findall(r"(/\S+)", linked)}
    program = binary.stat().st_size
    settings = (HERE.parent.parent / "deploy" / "container.toml").stat().st_size
    image = program + settings + sum(library.stat().st_size for library in libraries)
    return [Row(GROUP, "program", "MB", program / 1e6), Row(GROUP, "image, unpacked", "MB", image / 1e6)]
