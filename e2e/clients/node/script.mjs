// What the scripts beside this file share: each is an MCP client made from another library, from the first 401 to a
// widened grant.
//
// Argument: one JSON object
//   server_url            the MCP endpoint
//   redirect_url          where the answer comes to, on loopback
//   client_name           what registration says
//   client_metadata_url   the client's id where the server takes documents, or null
//   auth_method           what registration asks for, or null to leave it out
//   negotiation           "legacy" or "auto": how the protocol version is found
//   tool, arguments       what to call each time
//   steps                 after the first call, in the order given:
//                         "refresh"  the access token has died
//                         "restart"  the same in a program that only has what the last one stored
//                         "widen"    a call of the tool `admin_tool`, for which a person is asked again
//
// Standard output carries JSON lines, the last of them {"event":"done"} or {"event":"failed"}. Every HTTP exchange is
// told as {"event":"http"}, without bodies. A person opens the URL of {"event":"authorize"}.
import http from 'node:http';
import { randomUUID } from 'node:crypto';

export const told = JSON.parse(process.argv[2]);
const redirectUrl = told.redirect_url;
export const say = (event, more = {}) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);

// Nothing here takes long by itself; what waits for a person is bounded by the test.
const deadline = setTimeout(() => fail(new Error('the client did not finish within 3 minutes')), 180_000);

/** What a program keeps on disk. */
const stored = { client: undefined, tokens: undefined };

/** Waits for the browser at the redirect URI, any number of times. */
class Callback {
  #arrived;
  #server = http.createServer((request, response) => {
    const url = new URL(request.url, redirectUrl);
    response.end('Signed in.');
    if (url.pathname === new URL(redirectUrl).pathname) this.#arrived?.(url.searchParams);
  });

  listen() {
    return new Promise((resolve, reject) => {
      this.#server.on('error', reject);
      this.#server.listen(new URL(redirectUrl).port, '127.0.0.1', resolve);
    });
  }

  /** Begins to wait. */
  expect() {
    this.answer = new Promise((resolve) => {
      this.#arrived = resolve;
    });
  }
}
export const callback = new Callback();

/** One program's sign-in over what is stored. */
export class Provider {
  #verifier;
  #discovery;
  #state;
  clientMetadataUrl = told.client_metadata_url ?? undefined;
  redirectUrl = redirectUrl;

  get clientMetadata() {
    return {
      client_name: told.client_name,
      redirect_uris: [redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      ...(told.auth_method && { token_endpoint_auth_method: told.auth_method }),
    };
  }

  state() {
    this.#state = randomUUID();
    return this.#state;
  }

  clientInformation() {
    return stored.client;
  }

  saveClientInformation(client) {
    stored.client = client;
    say('registered', { client_id: client.client_id, auth_method: client.token_endpoint_auth_method ?? null });
  }

  tokens() {
    return stored.tokens;
  }

  saveTokens(tokens) {
    stored.tokens = tokens;
    say('tokens', tokens);
  }

  redirectToAuthorization(url) {
    callback.expect();
    say('authorize', { url: url.href });
  }

  saveCodeVerifier(verifier) {
    this.#verifier = verifier;
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
    if (what === 'all' || what === 'client') stored.client = undefined;
    if (what === 'all' || what === 'tokens') stored.tokens = undefined;
    if (what === 'all' || what === 'discovery') this.#discovery = undefined;
  }

  /** Checks that the browser brought this sign-in's answer. */
  wantState(parameters) {
    if (parameters.get('state') !== this.#state) throw new Error('the callback has the state of another request');
  }
}

/** fetch, told about. */
export async function toldFetch(url, init) {
  const response = await fetch(url, init);
  say('http', {
    method: init?.method ?? 'GET',
    path: new URL(url).pathname,
    status: response.status,
    challenge: response.headers.get('www-authenticate') ?? undefined,
  });
  return response;
}

/** Puts a value in the place of the access token that the bridge cannot have issued. */
function spoilAccessToken() {
  stored.tokens = { ...stored.tokens, access_token: 'spoiled-access-token' };
}

function fail(error) {
  say('failed', { error: String(error), stack: error?.stack });
  process.exit(1);
}

/**
 * Goes through all of it. A Program is one connection over what is stored: it has connect, list, call, widen and close.
 */
async function walk(Program) {
  await callback.listen();
  const program = new Program();
  await program.connect();
  await program.list();
  await program.call(told.tool);
  for (const step of told.steps) {
    say('step', { step });
    if (step === 'refresh') {
      spoilAccessToken();
      await program.call(told.tool);
    } else if (step === 'widen') {
      await program.widen(told.admin_tool);
    } else if (step === 'restart') {
      spoilAccessToken();
      const after = new Program();
      await after.connect();
      await after.call(told.tool);
      await after.close();
    } else {
      throw new Error(`unknown step ${step}`);
    }
  }
  await program.close();
  say('done');
}

export function run(Program) {
  walk(Program).then(() => {
    clearTimeout(deadline);
    process.exit(0);
  }, fail);
}
