// An OpenID provider as others make it: npm's oidc-provider with its own login pages.
//
// Argument: one JSON object
//   port       on 127.0.0.1
//   clients    [{id, secret or keys, algorithm, redirect, logout, signedOut}]
//   people     {login: claims}, any password is good
//
// Standard output carries {"event":"listening"} once it does. PUT /people/LOGIN with claims in JSON is the
// administrator who changes somebody.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import Provider from 'oidc-provider';

const { port, clients, people } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

const jwk = (kind, options, kid, alg) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig',
});

const provider = new Provider(issuer, {
  clients: clients.map(({ id, secret, keys, algorithm, redirect, logout, signedOut }) => ({
    ...(keys ? { jwks: keys, token_endpoint_auth_method: 'private_key_jwt' } : { client_secret: secret }),
    client_id: id, redirect_uris: [redirect], grant_types: ['authorization_code', 'refresh_token'],
    id_token_signed_response_alg: algorithm, ...(signedOut ? { post_logout_redirect_uris: [signedOut] } : {}),
    ...(logout ? { backchannel_logout_uri: logout, backchannel_logout_session_required: true } : {}),
  })),
  jwks: {
    keys: [
      jwk('rsa', { modulusLength: 2048 }, 'rsa', 'RS256'),
      jwk('ec', { namedCurve: 'P-256' }, 'ec', 'ES256'),
      jwk('ed25519', {}, 'ed', 'EdDSA'),
    ],
  },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'] },
  claims: { openid: ['sub', 'sid'], email: ['email', 'email_verified'], groups: ['groups'], profile: ['name'] },
  scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  cookies: { keys: ['for a test'] },
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // theirs would not speak to this machine
  pkce: { required: () => true },
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
});
for (const trouble of ['server_error', 'backchannel.error']) {
  provider.on(trouble, (_, error) => process.stderr.write(`${error.stack} ${error.cause?.stack ?? ''}\n`));
}
const answer = provider.callback();
const server = createServer(async (req, res) => {
  const [, room, login] = req.url.split('/');
  if (req.method !== 'PUT' || room !== 'people') {
    answer(req, res);
    return;
  }
  people[login] = await json(req);
  res.writeHead(204).end();
});
server.listen(port, '127.0.0.1', () => process.stdout.write(`${JSON.stringify({ event: 'listening' })}\n`));
