"""What the scripts beside this file share: each is an MCP client made from another library, from the first 401 to a
widened grant.

Argument: one JSON object
  server_url            the MCP endpoint
  redirect_url          where the answer comes to: listened at when it is on loopback; of another one the URL with the
                        answer is read from standard input
  client_name           what registration says
  client_metadata_url   the client's id where the server takes documents, or null
  auth_method           what registration asks for, or null to leave it out
  tool, arguments       what to call each time
  steps                 after the first call, in the order given:
                        "refresh"  the access token has run out
                        "restart"  the same in a process that only has what the last one stored
                        "widen"    a call of the tool `admin_tool`, for which a person is asked again

Standard output carries JSON lines, the last of them {"event": "done"} or {"event": "failed"}. Every HTTP exchange is
told as {"event": "http"}, without bodies. A person opens the URL of {"event": "authorize"}.
"""

import asyncio
import json
import logging
import sys
import traceback

told = json.loads(sys.argv[1])
patience_seconds = 180


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


async def tell(response):
    request = response.request
    say(
        "http",
        method=request.method,
        path=request.url.path,
        status=response.status_code,
        challenge=response.headers.get("www-authenticate"),
    )


async def walk(call, refresh, restart, widen):
    """Goes through what comes after the first call."""
    for step in told["steps"]:
        say("step", step=step)
        if step == "refresh":
            refresh()
            await call(told["tool"])
        elif step == "widen":
            await widen()
        elif step == "restart":
            await restart()
        else:
            raise ValueError(f"unknown step {step}")
    say("done")


def run(main):
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        asyncio.run(asyncio.wait_for(main(), patience_seconds))
    except BaseException as error:
        say("failed", error=repr(error), stack=traceback.format_exc())
        sys.exit(1)
