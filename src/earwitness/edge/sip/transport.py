"""Connects an ``Endpoint`` to real sockets and a real clock: one UDP socket, TCP connections in and out, one timer.

Nothing that a peer sends or fails to take stops it: every send is guarded (an address that ``sendto`` refuses would
otherwise close the listener), a connection that cannot be framed is closed alone, queues and the number of
connections are bounded: in all, and per address, so that no stranger takes those of others. Who comes beyond a bound
takes the place of the connection that has been idle for longest; hosts that are known (``is_known``) keep theirs.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import structlog

from earwitness.edge.sip.connection import Connection
from earwitness.edge.sip.endpoint import Endpoint
from earwitness.edge.sip.events import Address, EndpointConfig, Flow, Handler

log = structlog.get_logger()

RECEIVE_BUFFER = 4 * 1024 * 1024
MAX_CONNECTIONS = 2000
MAX_PER_HOST = 50
"""Connections that one address may open, as long as it is not known."""
CONNECT_TIMEOUT_S = 5.0


class Transport:
    """Owns the sockets. ``await start()``, use ``endpoint``, ``await stop()``.

    ``advertise(transport, remote)`` gives our address as that peer should know it (for Via and Contact).
    """

    def __init__(
        self,
        config: EndpointConfig,
        handler: Handler,
        *,
        advertise: Callable[[str, Address], Address] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._advertise = advertise or self._route_to
        self.endpoint = Endpoint(
            replace(config, address_for=self.local_address, connected=self.connected),
            handler,
            clock=self.loop.time,
            rng=rng or random.SystemRandom(),
            on_output=self._schedule_flush,
        )
        self.is_known: Callable[[str], bool] = lambda host: False
        """Whether this address is one of ours: of a trunk, or of a phone that has registered. Settable."""
        self.port = 0
        """The port that is really bound, UDP and TCP alike."""
        self.host = ""
        self._udp: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[int, Connection] = {}
        self._by_remote: dict[Address, Connection] = {}
        self._accepted: Counter[str] = Counter()
        """Connections by the address that opened them."""
        self._connecting: dict[Address, list[tuple[Flow, bytes]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._flushing = False
        self._routes: dict[str, str] = {}

    async def start(self, host: str, port: int) -> None:
        """Bind UDP and TCP to the same port (0: any that is free for both).

        :raises OSError: the port is taken.
        """
        for attempt in range(10):
            try:
                await self._bind(host, port)
                return
            except OSError:
                if port or attempt == 9:
                    raise

    async def stop(self) -> None:
        """Close everything. What is still queued is sent first, as far as the sockets take it."""
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
        if self._udp is not None:
            self._udp.close()
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections.values()):
            connection.finish()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def resolve(self, transport: str, host: str, port: int) -> Flow:
        """The way to a configured host (name or address).

        :raises OSError: the name does not resolve.
        """
        try:
            ipaddress.ip_address(host)
        except ValueError:
            found = await self.loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, family=socket.AF_INET)
            host = str(found[0][4][0])
        return self.endpoint.flow_to(transport, (host, port))

    def local_address(self, transport: str, remote: Address) -> Address:
        """Our address towards that peer."""
        return self._advertise(transport, remote)

    def connected(self, number: int) -> bool:
        """That TCP connection is open."""
        return number in self._connections

    # Receiving.

    def on_datagram(self, data: bytes, remote: Address) -> None:
        """From the UDP socket."""
        self._deliver(data, Flow("udp", self.local_address("udp", remote), remote))

    def on_frame(self, data: bytes, connection: Connection) -> None:
        """From a TCP connection."""
        self._deliver(data, connection.flow)

    def _deliver(self, data: bytes, flow: Flow) -> None:
        self._flushing = True
        try:
            self.endpoint.receive(data, flow)
        finally:
            self._flushing = False
        self.flush()

    def on_connected(self, connection: Connection, remote: Address, *, accepted: bool) -> None:
        """A TCP connection is open."""
        if accepted and not self._make_room(remote[0]):
            connection.close()
            return
        if accepted:
            self._accepted[remote[0]] += 1
        self._numbers += 1
        connection.flow = Flow("tcp", self.local_address("tcp", remote), remote, self._numbers)
        self._connections[self._numbers] = connection
        self._by_remote.setdefault(remote, connection)

    def on_disconnected(self, connection: Connection) -> None:
        """A TCP connection is gone: what waits for answers over it fails."""
        if self._connections.pop(connection.flow.connection, None) is None:
            return
        if connection.accepted:
            host = connection.flow.remote[0]
            self._accepted[host] -= 1
            if not self._accepted[host]:
                del self._accepted[host]
        if self._by_remote.get(connection.flow.remote) is connection:
            del self._by_remote[connection.flow.remote]
        for flow in connection.used:
            self.endpoint.flow_failed(flow)
        self.flush()

    def _make_room(self, host: str) -> bool:
        """Whether another connection from this address may be kept, if need be in place of an idle one."""
        known = self.is_known(host)
        if not known and self._accepted[host] >= MAX_PER_HOST:
            candidates = [item for item in self._connections.values() if item.flow.remote[0] == host]
        elif len(self._connections) >= MAX_CONNECTIONS:
            judged = {other: self.is_known(other) for other in self._accepted}
            candidates = [item for item in self._connections.values() if not judged.get(item.flow.remote[0], True)]
        else:
            return True
        candidates = [item for item in candidates if item.accepted]
        if not candidates:
            return False
        idle = min(candidates, key=lambda item: item.turn)
        log.warning("sip.connection_displaced", remote=idle.flow.remote[0])
        idle.close()
        self.on_disconnected(idle)
        return True

    # Sending.

    def _schedule_flush(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._flush_soon)

    def _flush_soon(self) -> None:
        self._flushing = False
        self.flush()

    def flush(self) -> None:
        """Send what the endpoint has to send, then set the timer."""
        rounds = 0
        while (outgoing := self.endpoint.take_outgoing()) and rounds < 100:
            rounds += 1
            for flow, data in outgoing:
                self._send(flow, data)
        self._set_timer()

    def _send(self, flow: Flow, data: bytes) -> None:
        try:
            if flow.transport == "udp":
                if self._udp is None or self._udp.is_closing():
                    raise OSError("socket closed")
                self._udp.sendto(data, flow.remote)
            else:
                self._send_stream(flow, data)
        except Exception as error:
            log.warning("sip.send_failed", remote=flow.remote[0], transport=flow.transport, error=str(error))
            self.endpoint.flow_failed(flow)

    def _send_stream(self, flow: Flow, data: bytes) -> None:
        connection = self._connections.get(flow.connection) or self._by_remote.get(flow.remote)
        if connection is not None:
            connection.send(flow, data)
            return
        if flow.connection:
            raise OSError("connection closed")
        waiting = self._connecting.get(flow.remote)
        if waiting is not None:
            waiting.append((flow, data))
            return
        self._connecting[flow.remote] = [(flow, data)]
        task = self.loop.create_task(self._connect(flow.remote))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, remote: Address) -> None:
        connection: Connection | None = None
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await self.loop.create_connection(
                    lambda: Connection(self, accepted=False), remote[0], remote[1]
                )
        except (OSError, TimeoutError, ValueError) as error:
            log.warning("sip.connect_failed", remote=remote[0], port=remote[1], error=str(error))
        finally:
            waiting = self._connecting.pop(remote, [])
        for flow, data in waiting:
            if connection is None:
                self.endpoint.flow_failed(flow)
            else:
                connection.send(flow, data)
        self.flush()

    # Time.

    def _set_timer(self) -> None:
        when = self.endpoint.next_timer()
        if self._timer is not None:
            if when == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer_at = when
            self._timer = self.loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._flushing = True
        try:
            self.endpoint.fire_timers()
        finally:
            self._flushing = False
        self.flush()

    async def _bind(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        tcp = socket.socket(family, socket.SOCK_STREAM)
        try:
            udp.setblocking(False)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            tcp.setblocking(False)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            udp.bind((host, port))
            self.host, self.port = udp.getsockname()[:2]
            tcp.bind((host, self.port))
            self._udp, _ = await self.loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
            self._server = await self.loop.create_server(lambda: Connection(self, accepted=True), sock=tcp)
        except BaseException:
            udp.close()
            tcp.close()
            raise

    def _route_to(self, transport: str, remote: Address) -> Address:
        """The address that the kernel would use towards ``remote``, and our port."""
        if self.host not in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            return self.host, self.port
        host = remote[0]
        local = self._routes.get(host)
        if local is None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                with socket.socket(family, socket.SOCK_DGRAM) as probe:
                    probe.connect((host, 9))
                    local = str(probe.getsockname()[0])
            except OSError:
                local = "127.0.0.1"
            if len(self._routes) >= 4096:
                self._routes.clear()
            self._routes[host] = local
        return local, self.port


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, owner: Transport) -> None:
        self._owner = owner

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._owner.on_datagram(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """ICMP errors name no request; its timers will notice."""
