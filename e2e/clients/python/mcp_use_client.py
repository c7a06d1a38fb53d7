"""The client of mcp-use, from the first 401 to a call after a restart. It asks for no refresh token.

Its argument and what it tells are those of script.py; it goes through no steps.
"""

import os
import webbrowser
from urllib.parse import urlsplit

os.environ["MCP_USE_ANONYMIZED_TELEMETRY"] = "false"  # nothing here speaks to the internet

from mcp_use import MCPClient
from script import run, say, told

webbrowser.open = lambda url: say("authorize", url=url)


async def connect():
    """One program's worth: with what the one before has stored, if there was one."""
    client = MCPClient.from_dict(
        {
            "mcpServers": {
                "trinity": {
                    "url": told["server_url"],
                    "auth": {"callback_port": urlsplit(told["redirect_url"]).port},
                }
            }
        }
    )
    session = await client.create_session("trinity")
    tools = await session.list_tools()
    say("tools", tools=[{"name": tool.name} for tool in tools])
    result = await session.call_tool(told["tool"], told["arguments"])
    say("called", is_error=bool(result.isError), text=result.content[0].text)
    await client.close_all_sessions()


async def main():
    await connect()
    say("step", step="restart")
    await connect()
    say("done")


run(main)
