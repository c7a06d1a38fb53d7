// A client that others wrote for RFC 9449: oauth4webapi with a key in memory, from discovery to a revoked grant.
//
// Argument: one JSON object
//   serverUrl     the MCP endpoint
//   callbackPort  loopback port of the redirect URI
//   algorithm     of the key
//   tool, args    what to call each time
//
// Standard output carries JSON lines, the last of them {"event":"done"} or {"event":"failed"}. The secrets that the
// client gets are told too: the test looks for them where they must not be.
import http from 'node:http';
import * as oauth from 'oauth4webapi';

const { serverUrl, callbackPort, algorithm, tool, args } = JSON.parse(process.argv[2]);
const redirectUri = `http://127.0.0.1:${callbackPort}/callback`;
const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const resource = new URL(serverUrl);
let nonces = 0;

/** Waits until every replica has heard of a revocation. */
const settled = () => new Promise((resolve) => setTimeout(resolve, Number(process.env.SETTLE_MS)));

const deadline = setTimeout(() => fail(new Error('the client did not finish within 3 minutes')), 180_000);

function fail(error) {
  say('failed', { error: String(error), cause: error?.cause, stack: error?.stack });
  process.exit(1);
}

/** Asks once more when the server wants a nonce: the library has learned it from the answer. */
async function withNonce(ask) {
  try {
    return await ask();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    nonces += 1;
    return ask();
  }
}

/** Waits for the browser at the redirect URI and gives back where it came. */
function awaitCallback() {
  return new Promise((resolve, reject) => {
    const server = http.createServer((request, response) => {
      const url = new URL(request.url, redirectUri);
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end('<!doctype html><html lang="en"><title>Signed in</title><p>Signed in.</p></html>');
      server.close();
      server.closeAllConnections?.();
      resolve(url);
    });
    server.on('error', reject);
    server.listen(callbackPort, '127.0.0.1');
  });
}

async function main() {
  const insecure = { [oauth.allowInsecureRequests]: true }; // http on loopback
  const described = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, insecure));
  const issuer = new URL(described.authorization_servers[0]);
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }));
  say('metadata', { resource: described.dpop_signing_alg_values_supported, server: as.dpop_signing_alg_values_supported });

  const client = await oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, {
    client_name: 'DPoP client', redirect_uris: [redirectUri], token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'], dpop_bound_access_tokens: true,
  }, insecure));
  say('registered', { bound: client.dpop_bound_access_tokens });
  const none = oauth.None();
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair(algorithm));
  const proven = { DPoP, ...insecure };

  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const request = new URLSearchParams({
    response_type: 'code', client_id: client.client_id, redirect_uri: redirectUri, state, resource: serverUrl,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', scope: 'trinity:read trinity:write',
  });
  const pushed = await withNonce(async () => oauth.processPushedAuthorizationResponse(as, client,
    await oauth.pushedAuthorizationRequest(as, client, none, request, proven)));
  const callback = awaitCallback();
  const authorize = new URL(as.authorization_endpoint);
  authorize.search = new URLSearchParams({ client_id: client.client_id, request_uri: pushed.request_uri });
  say('authorize', { url: authorize.href });
  const answer = oauth.validateAuthResponse(as, client, await callback, state);

  const additionalParameters = { resource: serverUrl };
  let tokens = await withNonce(async () => oauth.processAuthorizationCodeResponse(as, client,
    await oauth.authorizationCodeGrantRequest(as, client, none, answer, redirectUri, verifier, { ...proven, additionalParameters })));
  say('tokens', { code: answer.get('code'), verifier, tokens });

  let session;
  const ask = (body, more = {}) => withNonce(() => oauth.protectedResourceRequest(tokens.access_token, 'POST', resource, new Headers({
    accept: 'application/json, text/event-stream', 'content-type': 'application/json',
    ...(session ? { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' } : {}), ...more,
  }), JSON.stringify({ jsonrpc: '2.0', ...body }), proven));
  /** The result in a JSON answer or in the first event of a stream. */
  const resultOf = async (response) => {
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
    const data = text.split('\n').find((line) => /^data: *{/.test(line))?.slice(5) ?? text;
    return JSON.parse(data).result;
  };
  const connect = async () => {
    session = undefined;
    const response = await ask({
      id: 1, method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'dpop-client', version: '1.0.0' } },
    });
    session = response.headers.get('mcp-session-id');
    await resultOf(response);
    await (await ask({ method: 'notifications/initialized' })).text();
  };
  const call = async () => {
    const result = await resultOf(await ask({ id: 2, method: 'tools/call', params: { name: tool, arguments: args } }));
    say('called', { isError: result.isError ?? false, text: result.content?.[0]?.text });
  };
  await connect();
  await call();

  tokens = await withNonce(async () => oauth.processRefreshTokenResponse(as, client,
    await oauth.refreshTokenGrantRequest(as, client, none, tokens.refresh_token, { ...proven, additionalParameters })));
  say('tokens', { tokens });
  await call(); // in the same session

  /** What a thief of the tokens gets, who has no key or one of his own. */
  const thief = { DPoP: oauth.DPoP(client, await oauth.generateKeyPair(algorithm)), ...insecure };
  const refusals = {};
  const refused = async (name, steal) => {
    try {
      await withNonce(steal);
      refusals[name] = 'served';
    } catch (error) {
      refusals[name] = error.error ?? error.cause?.map?.(({ parameters }) => parameters.error).join(' ') ?? String(error);
    }
  };
  await refused('bearer', () => oauth.protectedResourceRequest(tokens.access_token, 'POST', resource, undefined, '{}', insecure));
  await refused('another key', () => oauth.protectedResourceRequest(tokens.access_token, 'POST', resource, undefined, '{}', thief));
  for (const [name, options] of [['refresh without a key', insecure], ['refresh with another key', thief]]) {
    await refused(name, async () => oauth.processRefreshTokenResponse(as, client,
      await oauth.refreshTokenGrantRequest(as, client, none, tokens.refresh_token, options)));
  }
  await call(); // the thief has spoiled nothing

  await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, none, tokens.refresh_token, insecure));
  await settled();
  await refused('after the end', () => ask({ id: 3, method: 'tools/list' }));
  say('refusals', { refusals, nonces });
  say('done');
}

main().then(() => {
  clearTimeout(deadline);
  process.exit(0);
}, fail);
