"""Whether a file of deploy/ keeps its promises and fits what it refers to.

judge.py BINARY DIRECTORY FILE

The configurations in it are judged by the gateway itself (`portcullis check`).
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

FAULTS = []


def require(holds, fault):
    if not holds:
        FAULTS.append(fault)


def seconds(text):
    """Of durations as the manifests and the gateway write them."""
    if isinstance(text, int):
        return text
    number, unit = re.fullmatch(r"(\d+)(s|m|h)?", text).groups()
    return int(number) * {None: 1, "s": 1, "m": 60, "h": 3600}[unit]


def draining(config):
    timeouts = config.get("timeouts", {})
    return seconds(timeouts.get("drain_delay", "0s")) + seconds(timeouts.get("drain", "30s"))


def read_config(binary, text, where):
    """The configuration, if the gateway takes it with the files it will find."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place)
        (path / "config.toml").write_text(text)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
            + ["-subj", "/CN=gateway", "-keyout", path / "server.key", "-out", path / "server.pem"],
            check=True,
            capture_output=True,
        )
        environment = {
            "SECRET_KEY": "0" * 64,
            "STORE_PASSWORD": "a password",
            "PORTCULLIS_TLS__CERTIFICATE": str(path / "server.pem"),
            "PORTCULLIS_TLS__KEY": str(path / "server.key"),
        }
        if "roots" in tomllib.loads(text).get("store", {}):
            environment["PORTCULLIS_STORE__ROOTS"] = str(path / "server.pem")
        checked = subprocess.run(
            [binary, "check", "--config", "config.toml"],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
        )
        require(checked.returncode == 0, f"{where}: {checked.stderr.strip()}")
    return tomllib.loads(text)


def compose(binary, directory, document):
    services = document["services"]
    for name, service in services.items():
        require(service.get("read_only") is True, f"{name}: its root can be written")
        require(service.get("cap_drop") == ["ALL"], f"{name}: it keeps capabilities")
        require("no-new-privileges:true" in service.get("security_opt", []), f"{name}: it can gain privileges")
        for variable, value in service.get("environment", {}).items():
            require(variable.endswith("_FILE"), f"{name}: {variable} is not a file")
            secret = value.removeprefix("/run/secrets/")
            require(secret in service["secrets"], f"{name}: {variable} names {value}, which is not there")
        for secret in service.get("secrets", []):
            require(secret in document["secrets"], f"{name}: there is no secret {secret}")
        for entry in service.get("configs", []):
            path = directory / document["configs"][entry["source"]]["file"]
            require(path.is_file(), f"{name}: there is no {path}")
    config = read_config(binary, (directory / "compose/gateway.toml").read_text(), "gateway.toml")
    grace = seconds(services["gateway"]["stop_grace_period"])
    require(grace > draining(config), "gateway: it is killed while it drains")
    subnet = document["networks"]["edge"]["ipam"]["config"][0]["subnet"]
    require(config["client"]["trusted_proxies"] == [subnet], "gateway: it does not trust the balancer's network")
    replicas = services["gateway"]["deploy"]["replicas"]
    balancer = (directory / "compose/haproxy.cfg").read_text()
    require(f"server-template gateway {replicas} gateway:8443" in balancer, "balancer: another number of gateways")
    arguments = services["redis"]["command"]
    settings = dict(zip(arguments[1::2], arguments[2::2]))
    for setting, value in [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")]:
        require(settings.get(f"--{setting}") == value, f"redis: {setting} is not {value}")


def checksum(text):
    """Of the configuration in a manifest, as docs/kubernetes.md makes it."""
    (config,) = re.findall(r"^  config\.toml: \|\n.*?^---\n", text, re.MULTILINE | re.DOTALL)
    return hashlib.sha256(config.encode()).hexdigest()


def identity(text):
    """What two applications on one Redis must not have in common."""
    documents = list(yaml.safe_load_all(text))
    (config,) = [tomllib.loads(found["data"]["config.toml"]) for found in documents if found["kind"] == "ConfigMap"]
    (pod,) = [found["spec"]["template"]["spec"] for found in documents if found["kind"] == "Deployment"]
    secrets = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    return {config["store"].get("prefix", "portcullis"), *secrets}


def manifests(binary, directory, file):
    text = file.read_text()
    for other in (directory / "kubernetes").glob("*.yaml"):
        shared = identity(text) & identity(other.read_text())
        require(other.name == file.name or not shared, f"two applications have the same {shared}")
    kinds = {}
    for document in yaml.safe_load_all(text):
        kinds.setdefault(document["kind"], []).append(document)
    configs = {
        document["metadata"]["name"]: read_config(binary, document["data"]["config.toml"], "config.toml")
        for document in kinds["ConfigMap"]
    }
    (deployment,) = kinds["Deployment"]
    spec, template = deployment["spec"], deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    require(spec["selector"]["matchLabels"] == labels, "the deployment does not select its pods")
    for service in kinds["Service"]:
        require(service["spec"]["selector"] == labels, "the service does not select the pods")
    for budget in kinds["PodDisruptionBudget"]:
        require(budget["spec"]["selector"]["matchLabels"] == labels, "the budget does not select the pods")
        require(0 < budget["spec"]["minAvailable"] < spec["replicas"], "the budget never lets a node be drained")
    pod = template["spec"]
    require(pod["automountServiceAccountToken"] is False, "pods can talk to the cluster's API")
    require(pod["securityContext"]["runAsNonRoot"] is True, "pods may be root")
    require(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "pods may make any system call")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    used = set()
    for container in pod["containers"]:
        name, context = container["name"], container["securityContext"]
        require(context["readOnlyRootFilesystem"] is True, f"{name}: its root can be written")
        require(context["allowPrivilegeEscalation"] is False, f"{name}: it can gain privileges")
        require(context["capabilities"] == {"drop": ["ALL"]}, f"{name}: it keeps capabilities")
        require("memory" in container["resources"]["limits"], f"{name}: its memory has no limit")
        used |= {mount["name"] for mount in container.get("volumeMounts", [])}
    require(used == set(volumes), f"volumes and mounts differ: {used ^ set(volumes)}")
    (gateway,) = [container for container in pod["containers"] if container["name"] == "gateway"]
    config = configs[volumes["config"]["configMap"]["name"]]
    mounts = [mount["mountPath"] for mount in gateway["volumeMounts"]]
    paths = [config["tls"]["certificate"], config["tls"]["key"], config["store"]["path"], config["store"]["roots"]]
    for variable in gateway["env"]:
        require(variable["name"].endswith("_FILE"), f"{variable['name']} is not a file")
        paths.append(variable["value"])
    require(config["store"]["path"] not in mounts, "everybody in the pod can write where the store is")
    for path in paths:
        require(any(path == mount or path.startswith(f"{mount}/") for mount in mounts), f"nothing is mounted at {path}")
    port = int(config["listener"][0].get("address", ":0").rsplit(":", 1)[1])
    require(gateway["ports"] == [{"name": "https", "containerPort": port}], "the gateway listens elsewhere")
    health = {"path": "/health", "port": "https", "scheme": "HTTPS"}
    require(gateway["startupProbe"]["httpGet"] == health, "it counts as started before its store was read")
    require(gateway["livenessProbe"].get("tcpSocket") == {"port": "https"}, "what lies behind the gateway ends it")
    probe = gateway["readinessProbe"]["httpGet"]
    if len(pod["containers"]) == 1:
        require(probe == health, "readiness is not the gateway's health")
    else:
        require({**probe, "path": "/health"} == health, "readiness is asked elsewhere")
        asks = [route for route in config["route"] if route["path"] == probe["path"]]
        require(asks and asks[0].get("public") and asks[0].get("exact"), "nobody may ask whether the application works")
        require("//127.0.0.1:" in config["upstream"][asks[0]["upstream"]]["url"], "readiness is not the application's")
    sums = template["metadata"]["annotations"]
    require(sums["checksum/config"] == checksum(text), "the configuration's sum is another")
    require("checksum/secrets" in sums, "pods keep former secrets")
    unready = gateway["readinessProbe"]["periodSeconds"] * gateway["readinessProbe"]["failureThreshold"]
    require(seconds(config["timeouts"]["drain_delay"]) > unready, "it stops before anybody has noticed")
    require(pod["terminationGracePeriodSeconds"] > draining(config), "it is killed while it drains")
    for container in pod["containers"]:
        if container is not gateway:
            wait = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            require(wait >= draining(config), f"{container['name']} stops before the gateway has drained")


def unit(_, __, text):
    entries = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    require(int(entries["TimeoutStopSec"]) > draining({}), "it is killed while it drains")
    require("LoadCredential" not in entries, "without that file it does not start")


def drop_in(_, __, text):
    loaded = set(re.findall(r"^LoadCredential=([^:]+):", text, re.MULTILINE))
    named = set(re.findall(r"%d/([\w.]+)", text))
    require(loaded == named, f"credentials loaded and named differ: {loaded ^ named}")


def main():
    binary, directory, file = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    text = file.read_text()
    if file.suffix == ".service":
        unit(binary, directory, text)
    elif file.suffix == ".conf":
        drop_in(binary, directory, text)
    elif file.name == "compose.yaml":
        compose(binary, directory, yaml.safe_load(text))
    else:
        manifests(binary, directory, file)
    for fault in FAULTS:
        print(f"{file}: {fault}", file=sys.stderr)
    return 1 if FAULTS else 0


if __name__ == "__main__":
    os.environ.pop("SECRET_KEY", None)
    sys.exit(main())
