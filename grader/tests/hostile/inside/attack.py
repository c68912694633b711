"""Tries everything that an app could try, and tells over HTTP what came of it: name -> what it got, null for nothing.

`GET /attacks` for what is over at once, `GET /limits` for what is taken until there is no more, `GET /stay` for what
is to go on when everything else is over.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
#: Numbers of system calls (x86-64 and arm64 differ; by name where the C library has them).
CALLS = {
    "x86_64": {
        "init_module": 175,
        "kexec_load": 246,
        "bpf": 321,
        "perf_event_open": 298,
        "open_by_handle_at": 304,
        "pivot_root": 155,
        "clock_settime": 227,
        "reboot": 169,
        "iopl": 172,
        "setns": 308,
        "add_key": 248,
    },
    "aarch64": {
        "init_module": 105,
        "kexec_load": 104,
        "bpf": 280,
        "perf_event_open": 241,
        "open_by_handle_at": 265,
        "pivot_root": 41,
        "clock_settime": 112,
        "reboot": 142,
        "setns": 268,
        "add_key": 217,
    },
}[os.uname().machine]
ATTACKS = {}


def attack(try_it):
    """Registers it; it returns what it got, or raises OSError."""
    ATTACKS[try_it.__name__] = try_it
    return try_it


def call(name, *args):
    """A system call that only gets somewhere when it is let; what is let and merely ill-formed counts as let."""
    if name not in CALLS:
        return None
    done = LIBC.syscall(CALLS[name], *args)
    code = ctypes.get_errno()
    return f"{name} was let" if done >= 0 or code not in (errno.EPERM, errno.ENOSYS, errno.EACCES) else None


def connects(family, kind, address):
    with socket.socket(family, kind) as sock:
        sock.settimeout(0.5)
        sock.connect(address)
        if kind == socket.SOCK_DGRAM:
            sock.send(b"?")
        return f"reached {address}"


def first(tries):
    """What the first that gets something gets."""
    for one in tries:
        try:
            if got := one():
                return got
        except (OSError, ValueError):
            continue
    return None


@attack
def reach_somebody():
    """The internet, the host by every address that it has, a cloud's metadata, a neighbour."""
    targets = json.loads(os.environ["TARGETS"])
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    return first(
        lambda host=host, port=port, kind=kind: connects(
            socket.AF_INET6 if ":" in host else socket.AF_INET, kind, (host, port)
        )
        for host, port in targets
        # On its own loopback a packet is sent to nobody without an error.
        for kind in (kinds if not host.startswith("127.") else kinds[:1])
    )


@attack
def reach_host_by_hypervisor():
    return connects(socket.AF_VSOCK, socket.SOCK_STREAM, (2, 22))


@attack
def listen_on_the_wire():
    return first(
        [
            lambda: str(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)),
            lambda: str(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)),
        ]
    )


@attack
def change_the_network():
    with open("/proc/sys/net/ipv4/ip_forward", "w") as file:
        file.write("1")
    return "forwards"


@attack
def find_a_socket_of_an_engine():
    found = []
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if folder != "/" or name not in ("proc", "sys")]
        found += [f"{folder}/{name}" for name in names if stat.S_ISSOCK(os.lstat(f"{folder}/{name}").st_mode)]
    return found or None


@attack
def hold_a_capability():
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
    return {
        name: status[name].strip()
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
        if int(status[name], 16)
    }


@attack
def become_another():
    other = 1234
    return first(
        [
            lambda: os.setuid(other) or "setuid",
            lambda: os.setgid(other) or "setgid",
            lambda: os.setgroups([0, 1234]) or "setgroups",
        ]
    )


@attack
def become_root_by_a_setuid_program():
    if os.getuid() == 0:
        return None
    said = subprocess.run(["/become-root"], capture_output=True, text=True).stdout
    return said if "euid=0" in said else None


@attack
def mount():
    return first(
        lambda args=args: f"mounted {args[2]}" if LIBC.mount(*args) == 0 else None
        for args in (
            (b"none", b"/mnt", b"tmpfs", 0, None),
            (b"proc", b"/mnt", b"proc", 0, None),
            (b"/", b"/mnt", b"none", 4096, None),
            (b"none", b"/sys/fs/cgroup", b"cgroup2", 0, None),
            (b"none", b"/", b"none", 32 | 4096, None),
        )
    )


@attack
def unmount():
    return first(
        lambda path=path: f"unmounted {path}" if LIBC.umount2(path, 2) == 0 else None
        for path in (b"/proc/kcore", b"/proc", b"/sys")
    )


@attack
def make_namespaces():
    return first(
        lambda flag=flag: f"unshared {flag:x}" if LIBC.unshare(flag) == 0 else None
        for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000)
    )


@attack
def enter_namespaces():
    handle = os.open("/proc/1/ns/mnt", os.O_RDONLY)
    return call("setns", handle, 0)


@attack
def make_a_device():
    os.mknod("/tmp/device", 0o600 | stat.S_IFBLK, os.makedev(8, 0))
    return "made"


@attack
def open_a_device():
    """The image brought them along."""
    return first(lambda path=path: open(path, "rb", buffering=0).read(1) and path for path in ("/disk", "/memory"))


@attack
def find_a_device():
    found = [f"/dev/{name}" for name in os.listdir("/dev") if stat.S_ISBLK(os.lstat(f"/dev/{name}").st_mode)]
    return found or first(
        lambda path=path: os.open(path, os.O_RDWR) and path
        for path in ("/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/kvm")
    )


@attack
def open_a_file_by_its_handle():
    """The way out that is known as shocker."""
    handle = (ctypes.c_ubyte * 16)(8, 0, 0, 0, 1, 0, 0, 0, 2)
    return call("open_by_handle_at", os.open("/etc/hosts", os.O_RDONLY), handle, 0)


@attack
def load_a_module():
    return call("init_module", None, 0, b"")


@attack
def start_another_kernel():
    return call("kexec_load", 0, 0, None, 0)


@attack
def load_a_program_into_the_kernel():
    return call("bpf", 0, ctypes.byref((ctypes.c_ubyte * 128)(1, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1)), 128)


@attack
def measure_the_host():
    return call("perf_event_open", ctypes.byref((ctypes.c_ubyte * 128)(1, 0, 0, 0, 128)), -1, 0, -1, 0)


@attack
def move_the_root():
    return call("pivot_root", b"/", b"/mnt")


@attack
def set_the_clock():
    return call("clock_settime", 0, ctypes.byref((ctypes.c_long * 2)(int(time.time()), 0)))


@attack
def reboot():
    return call("reboot", 0xFEE1DEAD, 672274793, 0x89ABCDEF, None)


@attack
def speak_to_the_hardware():
    return call("iopl", 3)


@attack
def rename_the_host():
    socket.sethostname("evil")
    return "renamed"


@attack
def leave_by_chroot():
    os.chroot("/tmp")
    return "changed"


@attack
def write_to_the_kernel():
    """Each as it is, so that nothing changes should it succeed."""
    paths = (
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/overcommit_memory",
        "/proc/sys/kernel/hostname",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/kernel/uevent_helper",
    )
    return first(
        lambda path=path: os.open(path, os.O_WRONLY) and path
        for path in (*paths, "/proc/sysrq-trigger", "/sys/fs/cgroup/release_agent")
    )


@attack
def read_the_kernels_memory():
    return first(
        lambda path=path: open(path, "rb").read(1) and path
        for path in ("/proc/kcore", "/dev/mem", "/dev/kmem", "/proc/keys", "/proc/timer_list")
    )


@attack
def write_to_cgroups():
    found = []
    for folder, _, names in os.walk("/sys/fs/cgroup"):
        for name in names:
            try:
                os.close(os.open(f"{folder}/{name}", os.O_WRONLY))
                found.append(f"{folder}/{name}")
            except OSError:
                pass
    return found[:5] or None


@attack
def see_the_hosts_processes():
    seen = [pid for pid in os.listdir("/proc") if pid.isdigit()]
    return seen if len(seen) > 20 else None


@attack
def trace_process_1_of_the_host():
    """Process 1 here is this very program; what could be traced of the host would be somebody else."""
    return None if b"attack.py" in open("/proc/1/cmdline", "rb").read() else "process 1 is another's"


@attack
def find_what_the_host_mounted():
    """Nothing of the host's but the three files that engines put into every container."""
    own = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    mounts = [line.split() for line in open("/proc/self/mountinfo").read().splitlines()]
    # The second field from the left that is no `/` is a folder of a file system that is mounted elsewhere as well.
    return [
        m[4] for m in mounts if m[3] != "/" and m[4] not in own and not m[4].startswith(("/proc", "/sys", "/dev"))
    ] or None


@attack
def find_secrets_in_the_environment():
    words = ("TOKEN", "PASSWORD", "SECRET", "AWS_", "DOCKER_", "GITHUB_", "GRADER_")
    return [name for name in os.environ if name.startswith(words) or name.endswith(words)] or None


@attack
def raise_limits():
    return first(
        lambda limit=limit: resource.setrlimit(limit, (resource.RLIM_INFINITY,) * 2) or "raised"
        for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)
    )


@attack
def be_spared_when_memory_is_short():
    with open("/proc/self/oom_score_adj", "r+") as file:
        before = int(file.read())
        file.seek(0)
        file.write(str(before - 500))
    return "spared"


@attack
def take_precedence():
    os.nice(-20)
    return "first"


def attacks():
    told = {}
    for name, try_it in ATTACKS.items():
        try:
            told[name] = try_it() or None
        except (OSError, ValueError):
            told[name] = None
    return told


def limits():
    """How much of each can be had."""
    return {
        "processes": forked(),
        "files": opened(),
        "memory": allocated(),
        "shared": filled("/dev/shm/big"),
        "log": printed(),
    }


def forked():
    children = []
    try:
        while len(children) < 5000:
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    except OSError:
        pass
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return len(children)


def opened():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held = []
    try:
        while len(held) < 100_000:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for handle in held:
        os.close(handle)
    return len(held)


def allocated():
    """MB, in a child that is to be ended for it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        held = []
        while len(held) < 2000:
            held.append(b"x" * 1_000_000)
            os.write(write, b".")
        os._exit(0)
    os.close(write)
    count = 0
    while data := os.read(read, 65536):
        count += len(data)
    os.waitpid(child, 0)
    return count


def filled(path):
    """MB."""
    size = 0
    try:
        with open(path, "wb", buffering=0) as file:
            while size < 500:
                size += file.write(bytes(1_000_000)) // 1_000_000
    except OSError:
        pass
    os.unlink(path)
    return size


def printed():
    """MB, of which the engine keeps few."""
    for _ in range(20):
        os.write(1, (b"x" * 9_999 + b"\n") * 100)
    return 20


def stay():
    """Goes on in sessions of its own, deaf to every signal."""
    for _ in range(10):
        if os.fork() == 0:
            os.closerange(3, 256)
            os.setsid()
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            while True:
                time.sleep(1)
    return "stays"


def hunt():
    """Ends whatever appears beside it."""
    mine = {int(name) for name in os.listdir("/proc") if name.isdigit()}

    def kill():
        while True:
            for name in os.listdir("/proc"):
                if name.isdigit() and int(name) not in mine:
                    try:
                        os.kill(int(name), signal.SIGKILL)
                    except OSError:
                        pass

    threading.Thread(target=kill, daemon=True).start()
    return "hunts"


def serve():
    server = socket.create_server(("0.0.0.0", 5000))
    while True:
        client = server.accept()[0]
        path = client.recv(65536).split(b" ")[1].decode()[1:]
        asked = {"attacks": attacks, "limits": limits, "stay": stay, "hunt": hunt}.get(path, lambda: "ready")
        body = json.dumps(asked()).encode()
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        client.close()


if __name__ == "__main__":
    sys.exit(serve())
