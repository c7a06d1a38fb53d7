// Tools, prompts and resources of a FastMCP server for the official suite, by the names that the suite asks for, and
// what a test needs to see an upstream at work: a call that lasts, and tools that come.
import { audioContent, imageContent, UserError } from 'fastmcp';
import { z } from 'zod';

const say = (event, more) => process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// One pixel, and a sound of no length.
const picture = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const sound = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=';
const text = (words) => ({ type: 'text', text: words });
const resource = (uri, mimeType, words) => ({ type: 'resource', resource: { uri, mimeType, text: words } });
const image = () => imageContent({ buffer: Buffer.from(picture, 'base64') });

const nothing = z.object({});

/** What asks the person at the client, and says what came back. */
const asks = (requestedSchema) => async (args, { elicit }) => {
  await pause(200); // a question goes on the client's stream, which its call may have overtaken
  const answer = await elicit({ message: args.message ?? 'Please fill this in', requestedSchema });
  return `action=${answer.action}, content=${JSON.stringify(answer.content)}`;
};

/** Adds all of it. */
export function addEverything(server) {
  const tool = (name, description, execute, parameters = nothing) => server.addTool({ name, description, parameters, execute });

  tool('test_simple_text', 'Answers with words.', async () => 'Words for a test.');
  tool('test_image_content', 'Answers with a picture.', image);
  tool('test_audio_content', 'Answers with a sound.', () => audioContent({ buffer: Buffer.from(sound, 'base64') }));
  tool('test_embedded_resource', 'Answers with a resource.', async () => resource('test://embedded-resource', 'text/plain', 'Embedded.'));
  tool('test_multiple_content_types', 'Answers with words, a picture and a resource.', async () => ({
    content: [text('Three kinds:'), await image(), resource('test://mixed-content-resource', 'application/json', '{"test":true}')],
  }));
  tool('test_error_handling', 'Fails.', async () => {
    throw new UserError('This tool fails on purpose');
  });
  tool('test_tool_with_logging', 'Logs while it works.', async (_, { log }) => {
    for (const words of ['begun', 'half done', 'done']) {
      log.info(words);
      await pause(50);
    }
    return 'Logged.';
  });
  tool('test_tool_with_progress', 'Tells how far it is.', async (_, { reportProgress }) => {
    for (const progress of [0, 50, 100]) {
      await reportProgress({ progress, total: 100 });
      await pause(50);
    }
    return 'Told.';
  });
  tool(
    'test_sampling',
    'Asks the model of the client.',
    async ({ prompt }, { sessionId }) => {
      const session = server.sessions.find((candidate) => candidate.sessionId === sessionId);
      const answer = await session.requestSampling({ messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 });
      return `The model says: ${answer.content.text}`;
    },
    z.object({ prompt: z.string() }),
  );
  tool(
    'test_elicitation',
    'Asks the person at the client.',
    asks({
      type: 'object',
      properties: { username: { type: 'string' }, email: { type: 'string' } },
      required: ['username', 'email'],
    }),
    z.object({ message: z.string() }),
  );
  tool(
    'test_elicitation_sep1034_defaults',
    'Asks with answers proposed.',
    asks({
      type: 'object',
      properties: {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
      },
    }),
  );
  const options = ['option1', 'option2', 'option3'];
  const titled = ['First', 'Second', 'Third'].map((title, n) => ({ const: `value${n + 1}`, title }));
  tool(
    'test_elicitation_sep1330_enums',
    'Asks with choices of every kind.',
    asks({
      type: 'object',
      properties: {
        untitledSingle: { type: 'string', enum: options },
        titledSingle: { type: 'string', oneOf: titled },
        legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['One', 'Two', 'Three'] },
        untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
        titledMulti: { type: 'array', items: { anyOf: titled } },
      },
    }),
  );
  let added = 0;
  tool('test_trigger_tool_change', 'Adds a tool.', async () => {
    added += 1;
    tool(`test_added_${added}`, 'Was added.', async () => 'Added.');
    return `test_added_${added}`;
  });
  tool('test_trigger_prompt_change', 'Adds a prompt.', async () => {
    added += 1;
    prompt(`test_added_${added}`, 'Was added.', [], async () => [text('Added.')]);
    return `test_added_${added}`;
  });
  const held = new Map();
  tool(
    'test_hold',
    'Tells that it has begun and waits for its release.',
    async ({ name }, { reportProgress, signal }) => {
      const released = new Promise((resolve) => held.set(name, resolve));
      const abort = () => say('aborted', { name });
      signal.addEventListener('abort', abort);
      await reportProgress({ progress: 1, total: 2 });
      await released;
      signal.removeEventListener('abort', abort);
      await reportProgress({ progress: 2, total: 2 });
      return `released ${name}`;
    },
    z.object({ name: z.string() }),
  );
  tool('test_release', 'Releases what is held.', async ({ name }) => String(held.get(name)?.(), held.delete(name)), z.object({ name: z.string() }));

  server.addResource({
    uri: 'test://static-text', name: 'Words', description: 'Words that stay.', mimeType: 'text/plain', load: async () => ({ text: 'Static.' }),
  });
  server.addResource({
    uri: 'test://static-binary', name: 'Picture', description: 'A picture.', mimeType: 'image/png', load: async () => ({ blob: picture }),
  });
  server.addResource({
    uri: 'test://watched-resource', name: 'Watched', description: 'May be subscribed to.', mimeType: 'text/plain', load: async () => ({ text: 'Watched.' }),
  });
  server.addResourceTemplate({
    uriTemplate: 'test://template/{id}/data', name: 'By number', mimeType: 'application/json', arguments: [{ name: 'id', required: true }],
    load: async ({ id }) => ({ text: JSON.stringify({ id }) }),
  });

  const prompt = (name, description, names, messages) =>
    server.addPrompt({
      name, description, arguments: names.map((argument) => ({ name: argument, description: `The ${argument}.`, required: true })),
      load: async (args) => ({ messages: (await messages(args)).map((content) => ({ role: 'user', content })) }),
    });
  prompt('test_simple_prompt', 'Says something.', [], async () => [text('A prompt.')]);
  prompt('test_prompt_with_arguments', 'Says what it is given.', ['arg1', 'arg2'], async ({ arg1, arg2 }) => [text(`${arg1}, ${arg2}`)]);
  prompt('test_prompt_with_embedded_resource', 'Has a resource in it.', ['resourceUri'], async ({ resourceUri }) => [
    resource(resourceUri, 'text/plain', 'Embedded.'), text('What does it say?'),
  ]);
  prompt('test_prompt_with_image', 'Has a picture in it.', [], async () => [await image(), text('What does it show?')]);
}
