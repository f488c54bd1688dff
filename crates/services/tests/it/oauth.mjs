// oauth2-mock-server, made to refuse what GitLab refuses: prints its port.
// Arguments: the module's file; JSON with id, secret, redirect_uri, scope, certificate and key for TLS, and a port other than any free one.
import { pathToFileURL } from "node:url";

const { OAuth2Server } = await import(pathToFileURL(process.argv[2]));
const want = JSON.parse(process.argv[3]);
const server = new OAuth2Server(want.key, want.certificate);
await server.issuer.keys.generate("RS256");

server.service.on("beforeAuthorizeRedirect", ({ url }, request) => {
  const asked = new URL(request.url, server.issuer.url).searchParams;
  const refuse = (error) => {
    url.searchParams.delete("code");
    url.searchParams.set("error", error);
  };
  if (asked.get("client_id") !== want.id) refuse("invalid_client");
  else if (asked.get("redirect_uri") !== want.redirect_uri) refuse("invalid_redirect_uri");
  else if ((asked.get("scope") ?? "") !== want.scope) refuse("invalid_scope");
});

server.service.on("beforeResponse", (response, request) => {
  if (want.credulous) return;
  const { client_id, client_secret } = request.body;
  const right = client_id === want.id && client_secret === want.secret;
  response.statusCode = right ? 400 : 401;
  response.body = right
    ? { error: "invalid_grant", error_description: "The provided authorization grant is invalid." }
    : { error: "invalid_client", error_description: `Client authentication failed: ${client_secret}` };
});

server.service.on("beforeUserinfo", (response) => {
  if (want.credulous) {
    response.body = { id: 7, username: "ann", email: "ann@example.test", name: "Ann" };
    return;
  }
  response.statusCode = 401;
  response.body = { message: "401 Unauthorized" };
});

await server.start(want.port ?? 0, "127.0.0.1");
console.log(server.address().port);
