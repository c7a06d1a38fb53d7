"""FastMCP's own client, which signs in over the official SDK in its own way: before it opens a browser it looks itself
whether the authorization URL answers, and it keeps what a restart needs in a store of its own.

Its redirect URI is on `localhost`, as by default.
"""

from urllib.parse import urlsplit

import httpx2
from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.transports import StreamableHttpTransport
from key_value.aio.stores.memory import MemoryStore
from script import run, say, tell, told, walk


def new_http_client(**options):
    return httpx2.AsyncClient(**options, event_hooks={"response": [tell]})


class Provider(OAuth):
    """FastMCP's provider, whose person is told where to go."""

    async def redirect_handler(self, authorization_url):
        await super().redirect_handler(authorization_url)
        say("authorize", url=authorization_url)

    def run_out(self):
        """Has the access token taken for one that has run out."""
        self.context.token_expiry_time = 1


def tell_stored(storage):
    """Tells what is stored from now on."""
    set_tokens, set_client_info = storage.set_tokens, storage.set_client_info

    async def tell_tokens(tokens):
        await set_tokens(tokens)
        say("tokens", access_token=tokens.access_token, refresh_token=tokens.refresh_token, scope=tokens.scope)

    async def tell_client(client):
        await set_client_info(client)
        say("registered", client_id=client.client_id, auth_method=client.token_endpoint_auth_method)

    storage.set_tokens, storage.set_client_info = tell_tokens, tell_client


def new_provider(store):
    more = {"token_endpoint_auth_method": told["auth_method"]} if told["auth_method"] else None
    provider = Provider(
        told["server_url"],
        client_name=told["client_name"],
        token_storage=store,
        additional_client_metadata=more,
        callback_port=urlsplit(told["redirect_url"]).port,
        client_metadata_url=told["client_metadata_url"],
    )
    tell_stored(provider.token_storage_adapter)
    return provider


def new_client(provider):
    return Client(
        StreamableHttpTransport(told["server_url"], auth=provider, httpx_client_factory=new_http_client), timeout=120
    )


async def hello(client):
    say("initialized", server=client.server_info.name, protocol_version=client.protocol_version)


async def call(client, tool):
    result = await client.call_tool(tool, told["arguments"], raise_on_error=False)
    say("called", is_error=bool(result.is_error), text=result.content[0].text)


async def main():
    store = MemoryStore()
    provider = new_provider(store)

    async def restart():
        after = new_provider(store)
        await after._initialize()
        after._initialized = True
        after.run_out()
        async with new_client(after) as restarted:
            await call(restarted, told["tool"])

    async with new_client(provider) as client:
        await hello(client)
        tools = await client.list_tools()
        say("tools", tools=[{"name": tool.name} for tool in tools])
        await call(client, told["tool"])
        await walk(
            lambda tool: call(client, tool), provider.run_out, restart, lambda: call(client, told["admin_tool"])
        )


run(main)
