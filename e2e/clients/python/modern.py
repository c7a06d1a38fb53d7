"""The second line of the official Python SDK in the revision 2026-07-28, doing what it is told.

It takes the same arguments and the same lines as node/modern.mjs, and tells the same events.
"""

import asyncio
import json
import sys
import traceback

import httpx2 as httpx
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

url, token = sys.argv[1:]


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


async def call(client, told):
    async def progressed(progress, total, message):
        say("progress", call=told["call"], progress=progress)

    try:
        result = await client.call_tool(told["tool"], told["arguments"], progress_callback=progressed)
    except (Exception, asyncio.CancelledError) as error:
        say("called", call=told["call"], is_error=True, text=repr(error))
    else:
        say("called", call=told["call"], is_error=bool(result.is_error), text=result.content[0].text)


async def listen(client):
    try:
        async with client.listen(tools_list_changed=True, prompts_list_changed=True) as changes:
            say("listening")
            async for change in changes:
                say("changed", what="tools" if "Tool" in type(change).__name__ else "prompts")
    except Exception as error:
        print(repr(error), file=sys.stderr)
    say("unheard")


async def main():
    headers, timeout = {"Authorization": f"Bearer {token}"}, httpx.Timeout(30, read=120)
    async with httpx.AsyncClient(headers=headers, timeout=timeout) as http:
        async with Client(streamable_http_client(url, http_client=http)) as client:
            say("connected", server=client.server_info.name, protocol_version=client.protocol_version)
            calls = {}
            async with asyncio.TaskGroup() as running:
                while True:
                    told = json.loads(await asyncio.to_thread(sys.stdin.readline))
                    if told["do"] == "end":
                        break
                    if told["do"] == "list":
                        listed = await client.list_tools()
                        say("listed", names=[tool.name for tool in listed.tools])
                    elif told["do"] == "call":
                        calls[told["call"]] = running.create_task(call(client, told))
                    elif told["do"] == "cancel":
                        calls[told["call"]].cancel()
                    elif told["do"] == "listen":
                        listening = running.create_task(listen(client))
                listening.cancel()
    say("done")


try:
    asyncio.run(main())
except BaseException as error:
    say("failed", error=repr(error), stack=traceback.format_exc())
    sys.exit(1)
