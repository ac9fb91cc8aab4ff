"""The client address of a request.

`X-Forwarded-For` is trusted only from proxies that the settings name.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

ONE_SUBSCRIBER = 64
"""Prefix length of an IPv6 network that one subscriber owns."""


def client_of(scope: Scope, proxies: Networks) -> str:
    """The address of a client: the last forwarded one that is not a trusted proxy."""
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
    return str(ipaddress.ip_network((int(address), ONE_SUBSCRIBER), strict=False))
