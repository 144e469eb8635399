"""What deploy/ promises, one check after the other; each is named by a sentence."""

import dataclasses
import pathlib
import subprocess
import tempfile
import traceback
import types

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
CHECKS = []


@dataclasses.dataclass(frozen=True)
class Tools:
    run: types.ModuleType
    binary: pathlib.Path
    work: pathlib.Path
    programs: pathlib.Path

    def output(self, *command) -> str:
        """What a program prints; it must end well."""
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def rendered(self, overlay: str) -> list[dict]:
        folder = DEPLOY / "kubernetes" / overlay
        return list(yaml.safe_load_all(self.output(self.programs / "kubectl", "kustomize", folder)))

    def folder(self, name: str) -> pathlib.Path:
        return pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work))


def check(function):
    CHECKS.append(function)
    return function


def only(documents: list[dict], kind: str, name: str | None = None) -> dict:
    [found] = [it for it in documents if it["kind"] == kind and name in (None, it["metadata"]["name"])]
    return found


def pod_of(documents: list[dict]) -> dict:
    return only(documents, "Deployment")["spec"]["template"]["spec"]


def all_of(tools: Tools) -> int:
    import elsewhere, image, kubernetes, settings  # noqa: F401, E401  their checks, in this order

    failed = 0
    for function in CHECKS:
        name = function.__name__.replace("_", " ")
        try:
            function(tools)
            print(f"ok      {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}\n{traceback.format_exc()}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0
