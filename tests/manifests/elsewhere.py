"""The systemd units and the compose files."""

import pathlib
import re
import shutil
import subprocess
import urllib.parse

import yaml
from checks import DEPLOY, ROOT, Tools, check

# systemd's own measure of what a service may still do, of 100.
EXPOSURE_MAX = 15


@check
def the_units_are_well_formed_and_the_service_may_do_little(tools: Tools):
    folder = tools.folder("units")
    for unit in (DEPLOY / "systemd").glob("capgate*"):
        text = unit.read_text().replace("/usr/local/bin/capgate", str(tools.binary))
        (folder / unit.name).write_text(text)
    units = [path for path in folder.iterdir() if path.suffix in (".service", ".socket")]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "capgate" in line]
    assert done.returncode == 0 and not ours, done.stderr
    judged = ["security", "--offline=true", f"--threshold={EXPOSURE_MAX}", folder / "capgate.service"]
    tools.output("systemd-analyze", *judged)
    names = [re.search(r"FileDescriptorName=(\w+)", unit.read_text()) for unit in units if unit.suffix == ".socket"]
    assert {name[1] for name in names} == {"clients", "admin"}


@check
def the_compose_files_fit_their_schema_and_what_they_mount_is_there(tools: Tools):
    folder = DEPLOY / "compose"
    files = [folder / "compose.yaml", folder / "compose.real.yaml"]
    tools.output(tools.programs / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files)
    services = yaml.safe_load(files[0].read_text())["services"]
    mounted = {}
    for name, service in services.items():
        for volume in service.get("volumes", []):
            source, target, *_ = volume.split(":")
            if source.startswith("."):
                assert (folder / source).exists(), f"{name}: {source}"
                mounted[target] = (folder / source).resolve()
    build = services["capgate"]["build"]
    assert (folder / build["context"]).resolve() == ROOT and (ROOT / build["dockerfile"]).exists()
    # Prometheus finds its rules, and Grafana its dashboards, where they are mounted.
    together = tools.folder("prometheus")
    for target in ("/etc/prometheus/prometheus.yml", "/etc/prometheus/rules.yml"):
        shutil.copy(mounted[target], together / pathlib.Path(target).name)
    assert "SUCCESS" in tools.output("promtool", "check", "config", together / "prometheus.yml")
    providers = yaml.safe_load((folder / "grafana" / "dashboards.yml").read_text())["providers"]
    assert [mounted[provider["options"]["path"]] for provider in providers] == [ROOT / "dashboards"]
    [source] = yaml.safe_load((folder / "grafana" / "datasource.yml").read_text())["datasources"]
    address = urllib.parse.urlparse(source["url"])
    assert address.hostname in services and address.port == 9090 and source["type"] == "prometheus"
    home = pathlib.Path(services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (mounted[str(home.parent)] / home.name).exists()
