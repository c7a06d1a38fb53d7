// The second line of the official TypeScript SDK in the revision 2026-07-28 alone, doing what it is told.
//
// Arguments: the MCP endpoint, an access token. Each line of standard input is one thing to do, as JSON:
//   {"do":"list"}                                  told as {"event":"listed","names":[…]}
//   {"do":"call","call":"a","tool":…,"arguments":…}  {"event":"progress","call":"a","progress":1} each time, then
//                                                  {"event":"called","call":"a","is_error":false,"text":…}; calls run at once
//   {"do":"cancel","call":"a"}                     the same, as a failed call
//   {"do":"listen"}                                {"event":"listening"}, {"event":"changed","what":"tools"} each time, and
//                                                  {"event":"unheard"} when the stream ends
//   {"do":"end"}                                   {"event":"done"}, and the program ends
// What fails is told as {"event":"failed"}, of a call as {"event":"called","is_error":true}.
import { createInterface } from 'node:readline';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, token] = process.argv.slice(2);
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const fail = (error) => {
  say('failed', { error: String(error), stack: error?.stack });
  process.exit(1);
};

const client = new Client(
  { name: 'typescript-sdk-client', version: '2.0.0' },
  { versionNegotiation: { mode: { pin: '2026-07-28' } } },
);
for (const what of ['tools', 'prompts']) {
  client.setNotificationHandler(`notifications/${what}/list_changed`, () => say('changed', { what }));
}

const running = new Map();

const acts = {
  async list() {
    const { tools } = await client.listTools();
    say('listed', { names: tools.map(({ name }) => name) });
  },
  async call({ call, tool, arguments: args }) {
    running.set(call, new AbortController());
    const { signal } = running.get(call);
    try {
      const result = await client.callTool(
        { name: tool, arguments: args },
        { timeout: 120_000, signal, onprogress: ({ progress }) => say('progress', { call, progress }) },
      );
      say('called', { call, is_error: result.isError ?? false, text: result.content?.[0]?.text });
    } catch (error) {
      say('called', { call, is_error: true, text: String(error) });
    }
  },
  async cancel({ call }) {
    running.get(call).abort('not wanted any more');
  },
  async listen() {
    const subscription = await client.listen({ toolsListChanged: true, promptsListChanged: true });
    subscription.closed.then(() => say('unheard'));
    say('listening', { honored: subscription.honoredFilter });
  },
  async end() {
    await client.close();
    say('done');
    process.exit(0);
  },
};

await client
  .connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { Authorization: `Bearer ${token}` } } }))
  .catch(fail);
say('connected', { server: client.getServerVersion()?.name, protocol_version: client.getNegotiatedProtocolVersion() });
for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line);
  acts[told.do](told).catch(fail);
}
