"""The official Python SDK, first line or second."""

import asyncio
import sys
from contextlib import asynccontextmanager
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata
from script import run, say, tell, told, walk

SECOND_LINE = not version("mcp").startswith("1.")
if SECOND_LINE:
    import httpx2 as httpx
    from mcp import Client
    from mcp.shared.auth import AuthorizationCodeResult
else:
    import httpx
    from mcp import ClientSession

redirect_url = told["redirect_url"]
loopback = urlsplit(redirect_url).hostname == "127.0.0.1"


class MemoryStorage:
    """Remembers one sign-in, the way a program would on disk."""

    def __init__(self):
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        say("tokens", access_token=tokens.access_token, refresh_token=tokens.refresh_token, scope=tokens.scope)

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client
        say("registered", client_id=client.client_id, auth_method=client.token_endpoint_auth_method)


class Callback:
    """Waits for the browser at the redirect URI, or to be told where the browser was sent."""

    def __init__(self):
        self.answer = None
        self.server = None

    async def __aenter__(self):
        if loopback:
            self.server = await asyncio.start_server(self.serve, "127.0.0.1", urlsplit(redirect_url).port)
        return self

    async def __aexit__(self, *_):
        if self.server:
            self.server.close()

    async def serve(self, reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        target = urlsplit(request.split(b" ")[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nSigned in.")
        await writer.drain()
        writer.close()
        if target.path == urlsplit(redirect_url).path and self.answer and not self.answer.done():
            self.answer.set_result(target)

    async def redirect(self, url):
        self.answer = asyncio.get_running_loop().create_future()
        say("authorize", url=url)
        if not loopback:
            line = await asyncio.to_thread(sys.stdin.readline)
            self.answer.set_result(urlsplit(line.strip()))

    async def wait(self):
        target = await self.answer
        answer = {name: values[0] for name, values in parse_qs(target.query).items()}
        say("callback", error=answer.get("error"), iss=answer.get("iss"))
        if not SECOND_LINE:
            return answer.get("code", ""), answer.get("state")
        return AuthorizationCodeResult(code=answer.get("code", ""), state=answer.get("state"), iss=answer.get("iss"))


def new_provider(storage, callback):
    metadata = {
        "client_name": told["client_name"],
        "redirect_uris": [redirect_url],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    }
    if told["auth_method"]:
        metadata["token_endpoint_auth_method"] = told["auth_method"]
    return OAuthClientProvider(
        server_url=told["server_url"],
        client_metadata=OAuthClientMetadata.model_validate(metadata),
        storage=storage,
        redirect_handler=callback.redirect,
        callback_handler=callback.wait,
        client_metadata_url=told["client_metadata_url"],
    )


def run_out(provider):
    """Makes the provider take its access token for one that has run out."""
    provider.context.token_expiry_time = 1


@asynccontextmanager
async def connection(provider):
    """An open session with the server, and what the server said about itself."""
    timeout = httpx.Timeout(30, read=120)
    hooks = {"response": [tell]}
    async with httpx.AsyncClient(auth=provider, timeout=timeout, event_hooks=hooks) as http:
        if SECOND_LINE:
            async with Client(streamable_http_client(told["server_url"], http_client=http)) as client:
                say("initialized", server=client.server_info.name, protocol_version=client.protocol_version)
                yield client
        else:
            async with streamable_http_client(told["server_url"], http_client=http) as (read, write, _):
                async with ClientSession(read, write) as session:
                    hello = await session.initialize()
                    say("initialized", server=hello.serverInfo.name, protocol_version=hello.protocolVersion)
                    yield session


async def call(client, tool):
    result = await client.call_tool(tool, told["arguments"])
    failed = result.is_error if SECOND_LINE else result.isError
    say("called", is_error=bool(failed), text=result.content[0].text)


async def widen(provider, client):
    """Calls what needs more than was granted; in a new session if the wider grant ended the old one."""
    try:
        return await call(client, told["admin_tool"])
    except Exception as error:
        if "session" not in str(error).lower():
            raise
        say("session_lost", error=str(error))
    async with connection(provider) as again:
        await call(again, told["admin_tool"])


async def main():
    storage = MemoryStorage()
    async with Callback() as callback:
        provider = new_provider(storage, callback)

        async def restart():
            after = new_provider(storage, callback)
            run_out(after)
            async with connection(after) as restarted:
                await call(restarted, told["tool"])

        async with connection(provider) as client:
            tools = await client.list_tools()
            say("tools", tools=[{"name": tool.name} for tool in tools.tools])
            await call(client, told["tool"])
            await walk(
                lambda tool: call(client, tool), lambda: run_out(provider), restart, lambda: widen(provider, client)
            )


run(main)
