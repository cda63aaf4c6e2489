"""Where results may be posted to. A caller names the address, the gateway goes there: so no caller may send it to places
that only the gateway can reach (its own machine, the network behind it, a cloud's metadata).

An address is judged twice. `check_callback` reads the URL when the request comes; what a name leads to is judged by
`may_go_to` at each delivery, on the very addresses that are then connected to: a name may change what it leads to at any time.
"""

import ipaddress
import re
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address

import httpx

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.records import Delivery, Job
from gateway.service.records import new_id

LONGEST_URL = 2048
MOST_PORT = 65535
URL = "url"
"""The field of `Job.callback` that holds the address."""

_METADATA = frozenset(map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
_ENDS_IN_NUMBER = re.compile(r"(.*\.)?([0-9]+|0[xX][0-9a-fA-F]*)\.?")


def check_callback(url: str, allow_private: bool) -> str:
    """The URL in one canonical form, to be kept. Raises ServiceError INVALID_ARGUMENT where results can't be posted to it.

    `allow_private` admits plain HTTP and addresses of the own machine and network, as may_go_to() says.
    """
    if len(url) > LONGEST_URL:
        raise _refused(f"must have at most {LONGEST_URL} characters")
    try:
        parsed = httpx.URL(str(httpx.URL(url.strip())))  # the second time its scheme is in small letters, as ports need it
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _refused("is no URL") from error
    if parsed.scheme not in ({"https", "http"} if allow_private else {"https"}):
        raise _refused("must begin with https://")
    if parsed.userinfo:
        raise _refused("must hold no user name and no password")
    if parsed.port is not None and not 0 < parsed.port <= MOST_PORT:
        raise _refused("names a port that there is not")
    if parsed.fragment or "#" in url:
        raise _refused("must have no fragment")
    _check_host(parsed.raw_host.decode("ascii"), allow_private)
    return f"{parsed.scheme}://{parsed.netloc.decode('ascii')}{parsed.raw_path.decode('ascii')}"


def may_go_to(address: str, allow_private: bool) -> bool:
    """Whether results may be sent to that IP address.

    Public addresses only, unless `allow_private` admits those of private networks and of the machine itself. Never:
    link-local, multicast, unspecified and reserved ones, and those where clouds keep metadata.
    """
    try:
        ip = _inner(ipaddress.ip_address(address))
    except ValueError:
        return False
    if ip in _METADATA or ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return False
    if ip.is_loopback:  # ::1 counts as reserved too
        return allow_private
    if ip.is_reserved:
        return False
    local = ip.is_private or (isinstance(ip, IPv4Address) and ip in _SHARED)
    return allow_private if local else ip.is_global


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as they stand there: what counts as one receiver."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split(r'[/?#]', rest, maxsplit=1)[0]}"


def deliveries_of(job: Job, now: datetime) -> tuple[Delivery, ...]:
    """What is to be stored together with a job's end: none where its caller named no address."""
    if job.callback is None:
        return ()
    return (Delivery(
        id=new_id(), job_id=job.id, tenant=job.tenant, url=str(job.callback[URL]), created_at=now, updated_at=now, not_before=now,
    ),)


def _check_host(host: str, allow_private: bool) -> None:
    if not host:
        raise _refused("names no host")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # Systems read such names as addresses (127.1, 0x7f000001), each in its own way.
        if _ENDS_IN_NUMBER.fullmatch(host):
            raise _refused("must hold an IP address in its usual form") from None
        local = host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
        if local and not allow_private:
            raise _refused("must not lead to a private or local address") from None
        return
    if not may_go_to(str(address), allow_private):
        raise _refused("must not lead to a private or local address")


def _inner(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one leads to, where it leads to one."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def _refused(why: str) -> ServiceError:
    return ServiceError(ErrorCode.INVALID_ARGUMENT, f"callback_url {why}", parameter="callback_url")
