// Reads request bodies as an MCP server on Node does, and tells what it made of them.
//
// Standard input: bodies one after the other, each behind its length as four bytes, big-endian. Standard output: one
// line of JSON for each. null means that JSON.parse refuses it; otherwise `messages` is what a program sees that goes
// by the members of the parsed value, and `schema` what FastMCP's transport makes of each message: the kind that the
// official SDK's schemas take it for, or null where they refuse it.
import { JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';

const text = (value) => (typeof value === 'string' ? value : null);

/** What decisions are made on, by the names that servers use. */
function view(message) {
  const params = message?.params;
  return {
    method: text(message?.method),
    id: message?.id === undefined ? null : JSON.stringify(message.id),
    name: text(params?.name),
    uri: text(params?.uri),
    taskId: text(params?.taskId),
    version: text(params?._meta?.['io.modelcontextprotocol/protocolVersion']),
    logLevel: text(params?._meta?.['io.modelcontextprotocol/logLevel']),
    result: message?.result !== undefined,
    error: message?.error !== undefined,
  };
}

function kind(message) {
  const read = JSONRPCMessageSchema.safeParse(message);
  if (!read.success) return null;
  if ('method' in read.data) return 'id' in read.data ? 'request' : 'notification';
  return 'response';
}

function judge(body) {
  let value;
  try {
    value = JSON.parse(body.toString()); // as mcp-proxy, FastMCP's transport, does it
  } catch {
    return null;
  }
  const batch = Array.isArray(value);
  const messages = batch ? value : [value];
  return { batch, messages: messages.map(view), schema: messages.map(kind) };
}

let waiting = Buffer.alloc(0);
process.stdin.on('data', (chunk) => {
  waiting = Buffer.concat([waiting, chunk]);
  let answers = '';
  while (waiting.length >= 4) {
    const size = waiting.readUInt32BE(0);
    if (waiting.length < 4 + size) break;
    answers += `${JSON.stringify(judge(waiting.subarray(4, 4 + size)))}\n`;
    waiting = waiting.subarray(4 + size);
  }
  process.stdout.write(answers);
});
