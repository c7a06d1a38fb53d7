// The MCP client of Vercel's AI SDK, which has a sign-in of its own. It takes no documents and does not ask for more.
import { UnauthorizedError, auth, createMCPClient } from '@ai-sdk/mcp';
import { Provider as Base, callback, run, say, told, toldFetch } from './script.mjs';

/** The sign-in, which this library leaves to keep apart from those at other authorization servers. */
class Provider extends Base {
  #server;

  saveAuthorizationServerInformation(server) {
    this.#server = server;
  }

  authorizationServerInformation() {
    return this.#server;
  }
}

/** One program with one connection. */
class Program {
  #provider = new Provider();

  async #connectOnce() {
    this.client = await createMCPClient({
      clientName: told.client_name,
      transport: { type: 'http', url: told.server_url, authProvider: this.#provider, fetch: toldFetch },
    });
  }

  async connect() {
    try {
      await this.#connectOnce();
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
      const parameters = await callback.answer;
      say('callback', { error: parameters.get('error'), iss: parameters.get('iss') });
      this.#provider.wantState(parameters);
      await auth(this.#provider, {
        serverUrl: told.server_url,
        authorizationCode: parameters.get('code'),
        callbackState: parameters.get('state'),
        fetchFn: toldFetch,
      });
      await this.#connectOnce();
    }
    say('initialized', { server: this.client.serverInfo.name, protocol_version: 'of its choice' });
  }

  async list() {
    const { tools } = await this.client.listTools();
    say('tools', { tools: tools.map(({ name }) => ({ name })) });
  }

  async call(tool) {
    const tools = await this.client.tools();
    const result = await tools[tool].execute(told.arguments, { toolCallId: '1', messages: [] });
    say('called', { is_error: result.isError ?? false, text: result.content?.[0]?.text });
  }

  close() {
    return this.client.close();
  }
}

run(Program);
