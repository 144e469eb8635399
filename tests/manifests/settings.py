"""The settings that the manifests carry: checked by the program, and run."""

import base64
import contextlib
import pathlib
import re
import tomllib
import urllib.parse

from checks import DEPLOY, Tools, check, only

POLLS_MAX = 30  # each is held for up to four seconds


def settings_of(documents: list[dict], prefix: str) -> str:
    [found] = [it for it in documents if it["kind"] == "ConfigMap" and "capgate.toml" in it["data"]]
    assert found["metadata"]["name"].startswith(prefix)
    return found["data"]["capgate.toml"]


def unpacked(tools: Tools, overlay: str, prefix: str) -> tuple[pathlib.Path, str]:
    """The settings as the pod would read them, with its secrets and its volume in a folder here."""
    documents, folder = tools.rendered(overlay), tools.folder(prefix)
    for name, content in only(documents, "Secret")["data"].items():
        (folder / name).write_bytes(base64.b64decode(content))
    text = settings_of(documents, prefix)
    return folder, text.replace("/run/secrets/capgate", str(folder)).replace("/var/lib/capgate", str(folder))


@check
def the_settings_in_the_manifests_have_no_fault(tools: Tools):
    for overlay, prefix in (("overlays/shared", "capgate"), ("overlays/sidecar", "capgate-sidecar")):
        folder, text = unpacked(tools, overlay, prefix)
        (folder / "capgate.toml").write_text(text)
        assert "***" in tools.output(tools.binary, "check-config", "--config", folder / "capgate.toml")
        assert "metrics" in tomllib.loads(text)["admin"]["open"], "Prometheus could not scrape it"


@check
def the_settings_for_compose_have_no_fault(tools: Tools):
    folder = tools.folder("compose")
    (folder / "account.key").write_text("put-the-key-of-the-account-here-")
    settings = (DEPLOY / "compose" / "capgate.example.toml").read_text()
    for text in (settings, (DEPLOY / "container.toml").read_text()):
        assert "metrics" in tomllib.loads(text)["admin"]["open"], "Prometheus could not scrape it"
    (folder / "capgate.toml").write_text(settings.replace("/run/secrets", str(folder)))
    tools.output(tools.binary, "check-config", "--config", folder / "capgate.toml")


@check
def an_upload_goes_through_sidecar_and_shared_gateway(tools: Tools):
    """As the pods would run them, but for the addresses and, so that it does not take long, the times of looks."""
    run = tools.run
    with contextlib.ExitStack() as stack:
        shared_clients, shared_admin, sidecar_clients, sidecar_admin, simulator = run.free_ports(5)
        folder, shared = unpacked(tools, "overlays/shared", "capgate")
        key = (folder / "account.key").read_text().strip()
        switches = ["--listen", f"127.0.0.1:{simulator}", "--key", key, "--solve-times", "fast"]
        state = f"http://127.0.0.1:{simulator}/state"
        run.start_process(tools.binary, ["simulate", *switches], folder, "simulator", state, stack)
        faster = '[polling]\ninterval = "200ms"\nfirst_look = "100ms"\n'
        shared = moved(shared, shared_clients, shared_admin)
        shared = shared.replace("[upstream]", f'{faster}[upstream]\nurl = "http://127.0.0.1:{simulator}"')
        start(tools, folder, shared, shared_admin, stack)
        folder, sidecar = unpacked(tools, "overlays/sidecar", "capgate-sidecar")
        sidecar = moved(sidecar, sidecar_clients, sidecar_admin).replace("[upstream]", f"{faster}[upstream]")
        sidecar = re.sub(r'url = "http://capgate\..*"', f'url = "http://127.0.0.1:{shared_clients}"', sidecar)
        start(tools, folder, sidecar, sidecar_admin, stack)
        ask = asker(run, f"http://127.0.0.1:{sidecar_clients}")
        reply = ask("in.php", textcaptcha="Two and three?")
        assert reply.startswith("OK|"), reply
        answers = (ask("res.php", action="get", id=reply[3:]) for _ in range(POLLS_MAX))
        answer = next(answer for answer in answers if answer != "CAPCHA_NOT_READY")
        assert answer.startswith("OK|"), answer


def moved(settings: str, clients: int, admin: int) -> str:
    settings = re.sub(r'clients = ".*:8080"', f'clients = "127.0.0.1:{clients}"', settings)
    settings = re.sub(r'admin = ".*:9464"', f'admin = "127.0.0.1:{admin}"', settings)
    return settings.replace('drain_delay = "5s"', 'drain_delay = "0s"')


def start(tools: Tools, folder: pathlib.Path, settings: str, admin: int, stack) -> None:
    (folder / "capgate.toml").write_text(settings)
    ready = f"http://127.0.0.1:{admin}/readyz"
    tools.run.start_process(tools.binary, ["serve", "--config", "capgate.toml"], folder, "gateway", ready, stack)


def asker(run, gateway: str):
    def ask(page: str, **parameters: str) -> str:
        query = urllib.parse.urlencode({"key": "any-key-will-do-within-this-pod-", **parameters})
        with run.direct().open(f"{gateway}/{page}?{query}", timeout=20) as reply:
            return reply.read().decode()

    return ask
