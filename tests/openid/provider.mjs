// An OpenID Provider that others wrote (oidc-provider, certified by the OpenID Foundation), as a process of its own.
// Its one argument is JSON: port, modules (folder of node_modules), client, methods, keys (JWKs), inIdToken, tls (files of
// certificate and key, or null). It prints "ready".
// Anybody signs in under any name with any password; groups and org are those below.
// What no provider does it is made to do by a word in `tamper`, which a POST to /tamper changes.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const given = JSON.parse(process.argv[2]);
const from = async name =>
  import(pathToFileURL(createRequire(`${given.modules}/`).resolve(name)).href);
const { default: Provider } = await from('oidc-provider');
const { SignJWT, importJWK } = await from('jose');

const GROUPS = { li: ['ward-doctors', 'staff'], liu: ['staff'], chief: ['supervisors'] };
const issuer = `${given.tls ? 'https' : 'http'}://localhost:${given.port}`;
const provider = new Provider(issuer, {
  clients: [given.client],
  jwks: { keys: given.keys },
  cookies: { keys: ['of this test alone'] },
  conformIdTokenClaims: !given.inIdToken,
  claims: { openid: ['sub'], profile: ['preferred_username', 'name', 'groups', 'org'] },
  clientAuthMethods: given.methods,
  // As published it calls no loopback address, where we are.
  fetch: (address, { dispatcher, ...options }) => fetch(address, options),
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    claimsParameter: { enabled: false },
  },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      preferred_username: id,
      name: `${id} 医师`,
      groups: GROUPS[id] ?? [],
      org: 'TY-ORG',
    }),
  }),
});

let tamper = '';
const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
const forge = async token => {
  const [head, body] = token.split('.').slice(0, 2).map(each => JSON.parse(Buffer.from(each, 'base64url')));
  const signed = async (claims, jwk = given.keys[0], header = head) =>
    new SignJWT({ ...body, ...claims }).setProtectedHeader(header).sign(await importJWK(jwk, head.alg));
  switch (tamper) {
    case 'nonce': return signed({ nonce: 'another' });
    case 'expired': return signed({ iat: body.iat - 7200, exp: body.iat - 3600 });
    case 'audience': return signed({ aud: 'another-client' });
    case 'authorized-party': return signed({ aud: [body.aud, 'another-client'], azp: 'another-client' });
    case 'issuer': return signed({ iss: 'http://elsewhere.example' });
    case 'later': return signed({ iat: body.iat + 3600, exp: body.exp + 3600 });
    case 'none': return `${part({ alg: 'none' })}.${part(body)}.`;
    case 'secret': { // signed with the client's secret, as HS256 would have it
      const text = `${part({ alg: 'HS256' })}.${part(body)}`;
      return `${text}.${createHmac('sha256', given.client.client_secret).update(text).digest('base64url')}`;
    }
    case 'stranger': return signed({}, given.stranger); // another's key under the same kid
    case 'second-factor': return signed({ amr: ['pwd', 'otp'] });
    case 'altered': return `${part(head)}.${part({ ...body, sub: 'chief' })}.${token.split('.')[2]}`;
    default: return token;
  }
};

provider.use(async (ctx, next) => {
  if (ctx.path === '/tamper') {
    tamper = ctx.query.how ?? '';
    ctx.status = 204;
    return;
  }
  await next();
  if (ctx.path === '/token' && tamper && ctx.body?.id_token) {
    ctx.body = { ...ctx.body, id_token: await forge(ctx.body.id_token) };
  }
});
provider.on('server_error', (ctx, error) => console.error(error));
provider.on('backchannel.error', (ctx, error) => console.error(error));
const server = given.tls
  ? createServer({ cert: readFileSync(given.tls[0]), key: readFileSync(given.tls[1]) }, provider.callback())
  : provider;
server.listen(given.port, '127.0.0.1', () => console.log('ready'));
