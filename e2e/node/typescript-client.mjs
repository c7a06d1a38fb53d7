// The official TypeScript SDK as an MCP client, from the first 401 to a revoked grant.
//
// Argument: one JSON object
//   serverUrl     the MCP endpoint
//   callbackPort  loopback port of the redirect URI
//   tool, args    what to call each time
//   steps         after the first call, in the order given: "call", "pause", "refresh", "revoke", "refused"
//
// Standard output carries JSON lines, the last of them {"event":"done"} or {"event":"failed"}.
// A "pause" waits for a line on standard input; "refused" is a call that must fail for want of a grant, and
// "revoke" gives the grant back and is then "refused". Every HTTP exchange is told as {"event":"http"}, without bodies.
// The secrets that the client gets are told too: the test looks for them where they must not be.
import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const { serverUrl, callbackPort, tool, args, steps } = JSON.parse(process.argv[2]);
const redirectUrl = `http://127.0.0.1:${callbackPort}/callback`;
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const input = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Waits until every replica has heard of a revocation. */
const settled = () => new Promise((resolve) => setTimeout(resolve, Number(process.env.SETTLE_MS)));

// Nothing here takes long by itself; what waits for a person is bounded by the test.
const deadline = setTimeout(() => fail(new Error('the client did not finish within 3 minutes')), 180_000);

/** Remembers one sign-in in memory, the way a desktop program would on disk. */
class MemoryProvider {
  #information;
  #tokens;
  #verifier;
  #discovery;
  expectedState = randomUUID();

  get redirectUrl() {
    return redirectUrl;
  }

  get clientMetadata() {
    return {
      client_name: 'TypeScript SDK client',
      redirect_uris: [redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
  }

  state() {
    return this.expectedState;
  }

  clientInformation() {
    return this.#information;
  }

  saveClientInformation(information) {
    this.#information = information;
    say('registered', { client_id: information.client_id, client: information });
  }

  tokens() {
    return this.#tokens;
  }

  saveTokens(tokens) {
    this.#tokens = tokens;
    say('tokens', { tokens });
  }

  /** Puts a value in the place of the access token that the bridge cannot have issued. */
  spoilAccessToken() {
    this.#tokens = { ...this.#tokens, access_token: 'spoiled-access-token' };
  }

  redirectToAuthorization(url) {
    say('authorize', { url: url.href });
  }

  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
    say('verifier', { verifier });
  }

  codeVerifier() {
    return this.#verifier;
  }

  saveDiscoveryState(state) {
    this.#discovery = state;
  }

  discoveryState() {
    return this.#discovery;
  }

  invalidateCredentials(what) {
    say('invalidated', { what });
    if (what === 'all' || what === 'client') this.#information = undefined;
    if (what === 'all' || what === 'tokens') this.#tokens = undefined;
    if (what === 'all' || what === 'discovery') this.#discovery = undefined;
  }
}

/** fetch, told about. */
async function toldFetch(url, init) {
  const response = await fetch(url, init);
  const { pathname } = new URL(url);
  say('http', {
    method: init?.method ?? 'GET',
    path: pathname,
    status: response.status,
    challenge: response.headers.get('www-authenticate') ?? undefined,
  });
  return response;
}

/** Waits for the browser at the redirect URI and gives back the response's parameters. */
function awaitCallback() {
  return new Promise((resolve, reject) => {
    const server = http.createServer((request, response) => {
      const url = new URL(request.url, redirectUrl);
      if (url.pathname !== '/callback') {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end('<!doctype html><html lang="en"><title>Signed in</title><link rel="icon" href="data:,"><p>Signed in.</p></html>');
      server.close();
      server.closeAllConnections?.();
      resolve(Object.fromEntries(url.searchParams));
    });
    server.on('error', reject);
    server.listen(callbackPort, '127.0.0.1', () => say('callback_listening', { redirectUrl }));
  });
}

function fail(error) {
  say('failed', { error: String(error), stack: error?.stack });
  process.exit(1);
}

async function main() {
  const provider = new MemoryProvider();
  const newTransport = () =>
    new StreamableHTTPClientTransport(new URL(serverUrl), { authProvider: provider, fetch: toldFetch });
  const client = new Client({ name: 'typescript-sdk-client', version: '1.0.0' }, { capabilities: {} });
  client.onerror = (error) => say('client_error', { error: String(error) });

  const callback = awaitCallback();
  const unauthorized = newTransport();
  try {
    await client.connect(unauthorized);
    throw new Error('the endpoint took a client without a token');
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
  }

  const { code, state, iss, error } = await callback;
  say('callback', { code, iss, error, stateMatches: state === provider.expectedState });
  if (error) {
    say('done');
    return;
  }
  await unauthorized.finishAuth(code);

  const transport = newTransport();
  await client.connect(transport);
  say('initialized', {
    server: client.getServerVersion(),
    protocolVersion: transport.protocolVersion,
    session: transport.sessionId,
  });

  const { tools } = await client.listTools();
  say('tools', { tools: tools.map(({ name, title, annotations }) => ({ name, title, annotations })) });

  const call = async () => {
    const result = await client.callTool({ name: tool, arguments: args }, undefined, { timeout: 30_000 });
    say('called', { isError: result.isError ?? false, text: result.content?.[0]?.text });
  };
  await call();

  for (const step of steps) {
    say('step', { step });
    if (step === 'call') {
      await call();
    } else if (step === 'pause') {
      await input.next();
    } else if (step === 'refresh') {
      // The answer to a dead token is a 401, and the SDK's answer to that a refresh.
      provider.spoilAccessToken();
      await call();
    } else if (step === 'revoke' || step === 'refused') {
      if (step === 'revoke') await revoke(provider).then(settled);
      try {
        await call();
        throw new Error('a call went through after the grant had ended');
      } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error;
        say('refused', { error: String(error) });
      }
    } else {
      throw new Error(`unknown step ${step}`);
    }
  }

  if (provider.tokens()) {
    await transport.terminateSession();
    say('terminated', { session: transport.sessionId ?? null });
  }
  await client.close();
  say('done');
}

/** RFC 7009: gives the refresh token back, and with it the grant. */
async function revoke(provider) {
  const { authorizationServerMetadata: metadata } = provider.discoveryState();
  const response = await toldFetch(metadata.revocation_endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      token: provider.tokens().refresh_token,
      token_type_hint: 'refresh_token',
      client_id: provider.clientInformation().client_id,
    }),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`revocation answered ${response.status}`);
}

main().then(() => {
  clearTimeout(deadline);
  process.exit(0);
}, fail);
