// A real FastMCP server in the place of Trinity's MCP server.
//
// Like Trinity it reads the Authorization header alone, wants the exact prefix "Bearer " and has every
// request's key checked by the backend. Each tool answers who it ran as.
//
// Environment: PORT, TRINITY_API_URL, TOOL_NAMES (a file of names to offer in the place of the few below), EVERYTHING
// (offer also what the official suite asks for). Without TRINITY_API_URL everybody is let in. Standard output carries
// JSON lines: one {"event":"listening"}, then one {"event":"request"} per HTTP request with the headers that arrived and
// whose key it was, null for nobody's, so that a test can tell what reached the upstream and what did not.
import { readFileSync } from 'node:fs';

import { FastMCP } from 'fastmcp';
import { z } from 'zod';

import { addEverything } from './fastmcp-everything.mjs';

const port = Number(process.env.PORT);
const backend = process.env.TRINITY_API_URL;
if (!Number.isInteger(port) || port < 1) {
  console.error('fastmcp-server: PORT is needed');
  process.exit(2);
}

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
const log = (...args) => console.error(...args);

/** Trinity's names; the words are ours. */
const few = {
  list_agents: 'Lists the agents you can reach.',
  get_agent: 'Shows one agent.',
  get_agent_info: 'Shows what one agent can do.',
  create_agent: 'Creates an agent and starts it.',
  start_agent: 'Starts a stopped agent.',
  stop_agent: 'Stops a running agent.',
  delete_agent: 'Deletes an agent.',
  list_templates: 'Lists the templates an agent can be made from.',
  chat_with_agent: 'Sends a message to an agent and waits for its answer.',
  get_chat_history: 'Reads a conversation with an agent.',
  get_agent_logs: 'Reads the logs of an agent.',
  list_systems: 'Lists the deployed systems.',
};

const names = process.env.TOOL_NAMES;
const tools = names
  ? Object.fromEntries(readFileSync(names, 'utf8').trim().split('\n').map((name) => [name, `Does what is known as ${name}.`]))
  : few;

/** Who stands behind a request, or an error when nobody does. Tells of either. */
async function authenticate(request) {
  const { method, url, headers } = request;
  let session;
  try {
    session = await accountOf(headers.authorization);
    return session;
  } finally {
    say({ event: 'request', method, url, headers, account: session?.username ?? null });
  }
}

async function accountOf(header) {
  if (!header?.startsWith('Bearer ')) {
    throw new Error('Missing or invalid Authorization header');
  }
  const answer = await fetch(new URL('/api/mcp/validate', backend), {
    method: 'POST',
    headers: { authorization: header },
    signal: AbortSignal.timeout(10_000),
  });
  if (!answer.ok) throw new Error('Invalid API key');
  const key = await answer.json();
  if (key.valid !== true) throw new Error('Invalid API key');
  // Trinity's McpAuthContext, as far as a key fills it.
  return { username: key.user_id, keyName: key.key_name, scope: key.scope, agentName: key.agent_name ?? null };
}

const server = new FastMCP({
  name: 'trinity-orchestrator',
  version: '1.0.0',
  authenticate: backend ? authenticate : undefined,
  logger: { debug: () => {}, error: log, info: log, log, warn: log },
  ping: { enabled: false },
});

for (const [name, description] of Object.entries(tools)) {
  server.addTool({
    name,
    description,
    parameters: z.looseObject({ name: z.string().optional() }),
    execute: async (args, { session }) =>
      JSON.stringify({
        tool: name,
        arguments: args,
        username: session?.username,
        key_name: session?.keyName,
        scope: session?.scope,
        agent_name: session?.agentName,
      }),
  });
}

if (process.env.EVERYTHING) addEverything(server);

await server.start({ transportType: 'httpStream', httpStream: { host: '127.0.0.1', port, endpoint: '/mcp' } });
say({ event: 'listening', url: `http://127.0.0.1:${port}/mcp` });
