"""The manifests: against the schemas, the Pod Security Standard, and each other."""

import copy

import kubernetes_validate
import pod_security
import yaml
from checks import DEPLOY, ROOT, Tools, check, only, pod_of
from cloudcoil.models.prometheus_operator import v1 as operator
from settings import settings_of

OVERLAYS = ("base", "overlays/shared", "overlays/sidecar")
# The oldest version with sidecars switched on, and the newest whose schemas are at hand.
VERSIONS = ("1.29", "1.37")
OPERATOR_KINDS = {"ServiceMonitor": operator.ServiceMonitor, "PrometheusRule": operator.PrometheusRule}


def unknown_to_the_schema(document: dict) -> str | None:
    """What the real schema says against a document, a field that it does not know among it."""
    if model := OPERATOR_KINDS.get(document["kind"]):
        try:
            back = model.model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")
        except ValueError as error:
            return str(error)
        return None if back == document else "it has a field that the operator's schema does not know"
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            return f"{version}: {error}"
    return None


@check
def every_manifest_fits_its_schema(tools: Tools):
    kinds = set()
    for overlay in OVERLAYS:
        for document in tools.rendered(overlay):
            fault = unknown_to_the_schema(document)
            assert not fault, f"{overlay}: {document['kind']} {document['metadata']['name']}: {fault}"
            kinds.add(document["kind"])
    expected = {"Deployment", "Service", "PersistentVolumeClaim", "ConfigMap", "Secret", "Namespace", "NetworkPolicy"}
    assert kinds == expected | {"PodDisruptionBudget", "ServiceMonitor", "PrometheusRule"}, kinds


@check
def a_field_that_nobody_knows_would_be_found(tools: Tools):
    shared = tools.rendered("overlays/shared")
    for kind in ("Deployment", "Service", "NetworkPolicy", "ServiceMonitor", "PrometheusRule"):
        document = copy.deepcopy(only(shared, kind))
        document["spec"]["replica"] = 1
        assert unknown_to_the_schema(document), kind


@check
def every_pod_is_restricted(tools: Tools):
    count = 0
    for overlay in OVERLAYS:
        pod = pod_of(tools.rendered(overlay))
        assert not pod_security.violations(pod), pod_security.violations(pod)
        assert pod["automountServiceAccountToken"] is False
        count += len(pod["containers"]) + len(pod.get("initContainers", []))
    assert count == 4, count


@check
def a_pod_that_is_not_restricted_would_be_found(tools: Tools):
    pod = pod_of(tools.rendered("base"))
    for spoil in (
        lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"),
        lambda pod: pod["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True),
        lambda pod: pod["securityContext"].pop("seccompProfile"),
        lambda pod: pod["securityContext"].update(runAsUser=0),
        lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    ):
        spoiled = copy.deepcopy(pod)
        spoil(spoiled)
        assert pod_security.violations(spoiled)


@check
def names_that_refer_to_each_other_are_the_same(tools: Tools):
    shared = tools.rendered("overlays/shared")
    labels = only(shared, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    ports = {port["name"] for port in pod_of(shared)["containers"][0]["ports"]}
    service = only(shared, "Service")
    assert service["spec"]["selector"].items() <= labels
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports
    for kind in ("NetworkPolicy", "PodDisruptionBudget"):
        spec = only(shared, kind)["spec"]
        assert spec.get("podSelector", spec.get("selector"))["matchLabels"].items() <= labels, kind
    policy = only(shared, "NetworkPolicy")["spec"]
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == ports
    monitor = only(shared, "ServiceMonitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    # The sidecar's pods pass the shared gateway's policy, and know its address.
    sidecar = tools.rendered("overlays/sidecar")
    passes = policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert passes.items() <= only(sidecar, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.cluster.local:8080"
    assert host in settings_of(sidecar, "capgate-sidecar")


@check
def a_sidecar_is_a_sidecar_and_the_application_is_pointed_at_it(tools: Tools):
    pod = pod_of(tools.rendered("overlays/sidecar"))
    [sidecar] = pod["initContainers"]
    assert sidecar["restartPolicy"] == "Always" and sidecar["startupProbe"] and sidecar["livenessProbe"]
    [application] = pod["containers"]
    environment = {variable["name"]: variable["value"] for variable in application["env"]}
    assert environment["CAPTCHA_URL"] == "http://127.0.0.1:8080" and len(environment["CAPTCHA_KEY"]) == 32


@check
def dashboards_and_rules_are_those_of_the_repository(tools: Tools):
    shared = tools.rendered("overlays/shared")
    dashboards = only(shared, "ConfigMap", "capgate-dashboards")
    files = {path.name: path.read_text() for path in (ROOT / "dashboards").glob("*.json")}
    assert dashboards["data"] == files and len(files) >= 3
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
    rules = only(shared, "PrometheusRule")["spec"]
    assert rules == yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
    path = tools.folder("rules") / "rules.yml"
    path.write_text(yaml.safe_dump(rules))
    assert "SUCCESS" in tools.output("promtool", "check", "rules", path)
