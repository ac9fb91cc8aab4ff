"""Whose request it is: its key where it has one, else its address.

What a client says of its own address counts for nothing; what a proxy says counts where the settings name the proxy.
"""

from __future__ import annotations

import ipaddress

from starlette.datastructures import Headers
from starlette.types import Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

ONE_SUBSCRIBER = 64
"""Bits of an IPv6 address that tell subscribers apart; each has all the addresses behind them."""


def client_of(scope: Scope, proxies: Networks) -> str:
    """The address that a request comes from: the last one that is no proxy of ours."""
    peer = scope.get("client")
    address = _address("" if peer is None else peer[0])
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    while address is not None and forwarded and any(address in network for network in proxies):
        before = _address(forwarded.pop().strip())
        if before is None:
            break
        address = before
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
