"""Transports that are closed after the test, an environment without proxies, and certificates."""

from __future__ import annotations

import os
import ssl
from types import SimpleNamespace

import pytest
import trustme
from peers import target

from otelkit.delivery.transport.connect import connect


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def link():
    """Makes a transport for an address; closes it after the test."""
    opened = []

    def make(url, *, signal="traces", **more):
        transport = connect(target(url, **more), signal=signal)
        opened.append(transport)
        return transport

    yield make
    for transport in opened:
        transport.close()


@pytest.fixture
def call(link):
    """Makes a transport over gRPC for a port of this machine."""

    def make(port, *, scheme="http", **more):
        return link(f"{scheme}://localhost:{port}", protocol="grpc", **more)

    return make


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """An authority, a server and a client it has signed, as files and as a server's context."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    server, client = authority.issue_cert("localhost", "127.0.0.1"), authority.issue_cert("client@test")
    files = SimpleNamespace(
        authority=str(folder / "ca.pem"),
        client=str(folder / "client.pem"),
        client_key=str(folder / "client.key"),
        server_chain=server.cert_chain_pems[0].bytes(),
        server_key=server.private_key_pem.bytes(),
        root=authority.cert_pem.bytes(),
    )
    authority.cert_pem.write_to_path(files.authority)
    client.cert_chain_pems[0].write_to_path(files.client)
    client.private_key_pem.write_to_path(files.client_key)

    def context(*, ask_client=False):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.configure_cert(made)
        if ask_client:
            authority.configure_trust(made)
            made.verify_mode = ssl.CERT_REQUIRED
        return made

    files.context = context
    return files
