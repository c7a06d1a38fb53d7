// The second line of the official TypeScript SDK.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { Provider, callback, run, say, told, toldFetch } from './script.mjs';

/** One program with one connection. */
class Program {
  #provider = new Provider();
  #transport;

  #newTransport() {
    this.#transport = new StreamableHTTPClientTransport(new URL(told.server_url), {
      authProvider: this.#provider,
      fetch: toldFetch,
    });
    return this.#transport;
  }

  async #connectOnce() {
    this.client = new Client(
      { name: 'typescript-sdk-client', version: '2.0.0' },
      { versionNegotiation: { mode: told.negotiation } },
    );
    await this.client.connect(this.#newTransport());
  }

  /** Does what it is given, and does it again once a person has answered, when that is needed. */
  async #withPerson(act) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof UnauthorizedError)) throw error;
    }
    const parameters = await callback.answer;
    say('callback', { error: parameters.get('error'), iss: parameters.get('iss') });
    this.#provider.wantState(parameters);
    await this.#transport.finishAuth(parameters);
    return await act();
  }

  async connect() {
    await this.#withPerson(() => this.#connectOnce());
    say('initialized', {
      server: this.client.getServerVersion()?.name,
      protocol_version: this.client.getNegotiatedProtocolVersion(),
    });
  }

  async list() {
    const { tools } = await this.client.listTools();
    say('tools', { tools: tools.map(({ name }) => ({ name })) });
  }

  async call(tool) {
    const result = await this.#withPerson(() =>
      this.client.callTool({ name: tool, arguments: told.arguments }, { timeout: 30_000 }),
    );
    say('called', { is_error: result.isError ?? false, text: result.content?.[0]?.text });
  }

  close() {
    return this.client.close();
  }

  /** Calls what needs more than was granted; in a new session if the wider grant ended the old one. */
  async widen(tool) {
    try {
      return await this.call(tool);
    } catch (error) {
      if (!/session/i.test(String(error))) throw error;
      say('session_lost', { error: String(error) });
    }
    await this.connect();
    await this.call(tool);
  }
}

run(Program);
