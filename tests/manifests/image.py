"""The image: its Containerfile, and what it would hold, without an engine."""

import contextlib
import os
import re
import shutil
import subprocess
import time

from checks import DEPLOY, ROOT, Tools, check, pod_of


def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Containerfile").read_text()
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line.strip()]


@check
def the_containerfile_is_well_formed_and_agrees_with_the_manifests(tools: Tools):
    tools.output(tools.programs / "hadolint", DEPLOY / "Containerfile")
    said = dict(instructions())
    pod = pod_of(tools.rendered("overlays/shared"))
    user, group = (int(number) for number in said["USER"].split(":"))
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["runAsGroup"]) == (user, group) and user > 0
    ports = {str(port["containerPort"]) for port in pod["containers"][0]["ports"]}
    assert set(said["EXPOSE"].split()) == ports
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["store"] == said["VOLUME"] == said["WORKDIR"]
    assert said["ENV"] == f"CAPGATE_CONFIG={mounts['settings']}/capgate.toml"
    sidecar = pod_of(tools.rendered("overlays/sidecar"))["initContainers"][0]
    assert sidecar["securityContext"]["runAsUser"] == user


@check
def the_build_is_given_what_it_needs(tools: Tools):
    folder = tools.folder("context")
    for name in (ROOT / ".dockerignore").read_text().split()[1:]:
        source = ROOT / name.removeprefix("!")
        target = folder / name.removeprefix("!")
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    # What the source takes in from other files is there, too.
    for source in (folder / "src").rglob("*.rs"):
        for name in re.findall(r'include_(?:str|bytes)!\("([^"]+)"\)', source.read_text()):
            assert (source.parent / name).resolve().exists(), f"{source}: {name}"
    done = subprocess.run(
        ["cargo", "metadata", "--locked", "--no-deps", "--format-version=1"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for path in re.findall(r'"src_path":"([^"]+)"', done.stdout):
        assert os.path.exists(path), path
    shutil.rmtree(folder)


@check
def the_images_content_is_enough_to_run_from(tools: Tools):
    """And nothing in it but the volume belongs to the user that it runs as."""
    if os.geteuid() != 0:
        return print("        (not as root: the image's content is not tried)")
    image = tools.folder("image")
    image.chmod(0o755)
    [collect] = [text for name, text in instructions() if name == "RUN" and "/image" in text]
    # The step as it stands, with the built program and a folder here.
    collect = collect.replace("/image", str(image)).replace("target/release/capgate", str(tools.binary))
    subprocess.run(["bash", "-o", "pipefail", "-c", collect], check=True, cwd=ROOT)
    clients, admin = tools.run.free_ports(2)
    user = dict(instructions())["USER"]
    environment = tools.run.bare_environment() | {
        "CAPGATE_CONFIG": "/etc/capgate/capgate.toml",
        "CAPGATE_LISTEN__CLIENTS": f"127.0.0.1:{clients}",
        "CAPGATE_LISTEN__ADMIN": f"127.0.0.1:{admin}",
    }
    inside = ["chroot", f"--userspec={user}", image, "/usr/local/bin/capgate"]
    log = tools.work / "image.log"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, image)
        output = stack.enter_context(log.open("wb"))
        process = subprocess.Popen([*inside, "serve", "--sandbox"], env=environment, stdout=output, stderr=output)
        stack.callback(tools.run.stop_process, process)
        limit = time.monotonic() + tools.run.START_LIMIT_S
        while subprocess.run([*inside, "healthcheck"], env=environment, capture_output=True).returncode:
            assert process.poll() is None and time.monotonic() < limit, log.read_text()
        owned = [path for path in image.rglob("*") if path.lstat().st_uid == int(user.split(":")[0])]
        assert owned == [image / "var" / "lib" / "capgate"], owned
        names = {path.name for path in image.rglob("*") if path.is_file()}
        assert {"capgate", "capgate.toml", "nsswitch.conf"} < names and not names & {"sh", "bash", "apt-get"}, names
