// The life of a container through dockerode. Arguments: the daemon's socket and the label of the test.
const assert = require('node:assert');
const { PassThrough } = require('node:stream');
const Docker = require('dockerode');

const [socketPath, label] = process.argv.slice(2);
const [key, value] = label.split('=');
const docker = new Docker({ socketPath });

// Splits a multiplexed stream and resolves with [stdout, stderr] at its end.
function demultiplex(stream) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const text = ['', ''];
  out.on('data', (chunk) => { text[0] += chunk; });
  err.on('data', (chunk) => { text[1] += chunk; });
  docker.modem.demuxStream(stream, out, err);
  return new Promise((resolve, reject) => {
    stream.on('end', () => setImmediate(() => resolve(text)));
    stream.on('error', reject);
  });
}

async function main() {
  const since = Math.floor(Date.now() / 1000) - 1;
  assert.strictEqual((await docker.ping()).toString(), 'OK');
  assert.strictEqual((await docker.version()).Os, 'linux');

  await assert.rejects(docker.getContainer('no-such').inspect(), (e) => e.statusCode === 404 && e.json.message === 'No such container: no-such');
  const config = { Image: 'busybox', Labels: { [key]: value }, name: 'node-life' };
  const container = await docker.createContainer({ ...config, Cmd: ['sh', '-c', 'read line; echo "got $line"; echo err >&2; sleep 100'], OpenStdin: true, StdinOnce: true });
  await assert.rejects(docker.createContainer(config), (e) => e.statusCode === 409);

  const attached = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
  const output = demultiplex(attached);
  await container.start();
  await assert.rejects(container.start(), (e) => e.statusCode === 304);
  attached.write('a line\n');

  const exec = await container.exec({ Cmd: ['sh', '-c', 'cat; exit 5'], AttachStdin: true, AttachStdout: true });
  const session = await exec.start({ hijack: true, stdin: true });
  const said = demultiplex(session);
  session.write('to exec\n');
  session.end();
  assert.deepStrictEqual(await said, ['to exec\n', '']);
  assert.strictEqual((await exec.inspect()).ExitCode, 5);

  assert.ok((await docker.listContainers({ filters: { name: ['node-life'] } })).length === 1);
  const wait = container.wait({ condition: 'next-exit' });
  for (let i = 0; i < 200; i += 1) {
    if ((await container.logs({ stdout: true, stderr: true })).includes('err')) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await container.kill();
  assert.strictEqual((await wait).StatusCode, 137);
  assert.deepStrictEqual(await output, ['got a line\n', 'err\n']);
  const logs = await container.logs({ stdout: true });
  assert.strictEqual(logs.subarray(8).toString(), 'got a line\n');
  await container.remove();

  const events = await docker.getEvents({ since, until: Math.floor(Date.now() / 1000) + 1, filters: { label: [label] } });
  let text = '';
  for await (const chunk of events) text += chunk;
  const actions = text.trim().split('\n').map((line) => JSON.parse(line).Action);
  for (const action of ['create', 'attach', 'start', 'die', 'destroy']) assert.ok(actions.includes(action), `${action} in ${actions}`);
  console.log('dockerode is content');
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
