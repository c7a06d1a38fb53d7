// An OpenID provider as others make it: npm's oidc-provider with its own login pages.
//
// Argument: one JSON object
//   port       on 127.0.0.1
//   clients    [{id, secret, algorithm, redirect}]
//   people     {login: claims}, any password is good
//
// Standard output carries {"event":"listening"} once it does.
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const { port, clients, people } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

const jwk = (kind, options, kid, alg) => ({
  ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), kid, alg, use: 'sig',
});

const provider = new Provider(issuer, {
  clients: clients.map(({ id, secret, algorithm, redirect, logout }) => ({
    client_id: id, client_secret: secret, redirect_uris: [redirect], grant_types: ['authorization_code', 'refresh_token'],
    id_token_signed_response_alg: algorithm, ...(logout ? { backchannel_logout_uri: logout } : {}),
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
  pkce: { required: () => true },
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  issueRefreshToken: () => true,
  rotateRefreshToken: true,
});
provider.on('server_error', (_, error) => process.stderr.write(`${error.stack}\n`));
provider.listen(port, '127.0.0.1', () => process.stdout.write(`${JSON.stringify({ event: 'listening' })}\n`));
