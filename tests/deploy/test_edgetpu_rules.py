"""udev gives Coral devices, and nothing else, to the groups that the services are in: judged by udev itself, on devices
that umockdev pretends.
"""

import re
from pathlib import Path

import pytest

from tests.deploy.linters import DEPLOY, run

RULES = DEPLOY / "99-hedgerow-edgetpu.rules"
GROUPS = {"plugdev": 46, "apex": 990}
UNITS = ("hedgerow-node.service", "hedgerow-coral.conf")

# A mount namespace, so that neither this machine's rules and groups count nor its /dev and /run are written to.
JUDGE = """
mount --bind "$1/rules.d" /usr/lib/udev/rules.d
mount --bind "$1/group" /etc/group
touch "$1/dev/null" && mount --bind /dev/null "$1/dev/null" && mount --bind "$1/dev" /dev
mount -t tmpfs tmpfs /run
umockdev-run --device "$1/device.umockdev" -- udevadm --debug test --action=add "/sys$2" 2>&1
"""


def usb(vendor: str, product: str) -> str:
    """A USB device as umockdev describes one."""
    return f"""P: /devices/pci0000:00/0000:00:14.0/usb2/2-1
E: DEVNAME=/dev/bus/usb/002/009
E: DEVTYPE=usb_device
E: MAJOR=189
E: MINOR=136
E: SUBSYSTEM=usb
A: dev=189:136\\n
A: idVendor={vendor}\\n
A: idProduct={product}\\n
"""


APEX = """P: /devices/pci0000:00/0000:00:1c.0/0000:01:00.0/apex/apex_1
E: DEVNAME=/dev/apex_1
E: MAJOR=120
E: MINOR=1
E: SUBSYSTEM=apex
A: dev=120:1\\n
"""


@pytest.mark.parametrize(
    ("device", "group"),
    [
        pytest.param(usb("1a6e", "089a"), "plugdev", id="USB Accelerator before its firmware"),
        pytest.param(usb("18d1", "9302"), "plugdev", id="USB Accelerator with its firmware"),
        pytest.param(APEX, "apex", id="PCIe or M.2"),
        pytest.param(usb("18d1", "4ee7"), None, id="a phone of the same vendor"),
        pytest.param(usb("0951", "9302"), None, id="a stick with the same product number"),
    ],
)
def test_a_coral_device_is_given_to_its_group_and_nothing_else_is(tmp_path: Path, device: str, group: str | None) -> None:
    given = [] if group is None else [f"GROUP {GROUPS[group]}", "MODE 0660"]
    assert judged(tmp_path, device) == given


def test_the_services_are_in_the_groups_of_the_rules_and_the_groups_are_made() -> None:
    groups = set(re.findall(r'GROUP="(\w+)"', RULES.read_text()))
    assert groups == set(GROUPS)
    made = re.findall(r"^g (\w+)", (DEPLOY / "hedgerow.sysusers").read_text(), re.MULTILINE)
    assert set(made) == groups
    for unit in UNITS:
        named = re.findall(r"^SupplementaryGroups=(.+)$", (DEPLOY / unit).read_text(), re.MULTILINE)
        assert [set(line.split()) for line in named] == [groups]


def test_both_services_may_use_the_same_devices() -> None:
    allowed = [re.findall(r"^Device\w+=.+$", (DEPLOY / unit).read_text(), re.MULTILINE) for unit in UNITS]
    assert allowed[0] == allowed[1]
    assert len(allowed[0]) > 1


def test_udev_finds_nothing_in_the_rules() -> None:
    done = run("udevadm", "verify", "--resolve-names=never", RULES)
    if "Unknown command verb" in done.stderr:
        pytest.skip("udevadm has no verb `verify` here: it came with systemd 254")
    assert done.returncode == 0, done.stdout + done.stderr


def judged(folder: Path, device: str) -> list[str]:
    """What udev does with a device because of the rules, and what it finds wrong with them, line by line."""
    for tool in ("umockdev-run", "udevadm"):
        run(tool, "--version")
    if run("unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs", "/mnt").returncode != 0:
        pytest.skip("no mount namespaces here")
    for name in ("rules.d", "dev"):
        (folder / name).mkdir()
    (folder / "rules.d" / RULES.name).write_text(RULES.read_text())
    (folder / "group").write_text("root:x:0:\n" + "".join(f"{name}:x:{number}:\n" for name, number in GROUPS.items()))
    (folder / "device.umockdev").write_text(device)
    path = device.splitlines()[0].removeprefix("P: ")
    done = run("unshare", "--mount", "--map-root-user", "sh", "-euc", JUDGE, "judge", folder, path)
    assert f"DEVPATH={path}" in done.stdout, done.stdout + done.stderr
    return re.findall(rf"{re.escape(RULES.name)}:\d+ (.*)$", done.stdout, re.MULTILINE)
