"""The Pod Security Standard "restricted", as far as it speaks of what our pods could ask for."""

import itertools

# Kinds of volumes that the standard allows.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
HOST = ("hostNetwork", "hostPID", "hostIPC")


def violations(pod: dict) -> list[str]:
    """What the standard forbids in a pod's specification."""
    own = pod.get("securityContext", {})
    found = [f"{name} is set" for name in HOST if pod.get(name)]
    for volume in pod.get("volumes", []):
        found += [f"volume {volume['name']} is a {kind}" for kind in volume.keys() - {"name"} if kind not in VOLUMES]
    for container in itertools.chain(pod.get("initContainers", []), pod["containers"]):
        context = container.get("securityContext", {})
        # The container's word goes over the pod's.
        both = own | context
        capabilities = context.get("capabilities", {})
        wrong = {
            "may gain privileges": context.get("allowPrivilegeEscalation") is not False,
            "is privileged": bool(context.get("privileged")),
            "keeps capabilities": capabilities.get("drop") != ["ALL"],
            "adds capabilities": not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "may run as root": both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0,
            "has no seccomp profile": both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"),
            "has a port on the host": any("hostPort" in port for port in container.get("ports", [])),
            # Not of the standard, and true of ours.
            "may write to its root": context.get("readOnlyRootFilesystem") is not True,
        }
        found += [f"container {container['name']} {what}" for what, is_so in wrong.items() if is_so]
    return found
