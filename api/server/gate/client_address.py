"""The client address of a request.

`X-Forwarded-For` is trusted only from proxies that the settings name.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

SUBSCRIBER_PREFIX = 64
"""IPv6 prefix length assigned to one subscriber."""


def client_address(scope: Scope, proxies: Networks) -> str:
    """The client's address: the last forwarded one that is not a trusted proxy; for IPv6, its subscriber's network."""
    peer = scope.get("client")
    address = _address("" if peer is None else peer[0])
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    while address is not None and forwarded and any(address in network for network in proxies):
        previous = _address(forwarded.pop().strip())
        if previous is None:
            break
        address = previous
    return "unknown" if address is None else _subscriber(address)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (getattr(address, "ipv4_mapped", None) or address) if address.version == 6 else address


def _subscriber(address: Address) -> str:
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((int(address), SUBSCRIBER_PREFIX), strict=False))
