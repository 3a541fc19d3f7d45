// Every call of dockerode that the engine serves, in several API versions. Arguments: the daemon's socket and the label of the test.
const assert = require('node:assert');
const Docker = require('dockerode');

const [socketPath, label] = process.argv.slice(2);
const [key, value] = label.split('=');

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function calls(version) {
  const docker = new Docker({ socketPath, ...(version && { version: `v${version}` }) });
  const name = `node-calls-${version || 'newest'}`;
  assert.strictEqual((await docker.ping()).toString(), 'OK');
  assert.strictEqual((await docker.version()).Os, 'linux');
  assert.ok((await docker.info()).NCPU > 0);
  if (version !== '1.24') assert.ok(await docker.df());
  const container = await docker.createContainer({
    name, Image: 'busybox', Cmd: ['sh', '-c', 'echo out; exec sleep 1000'], Labels: { [key]: value }, ExposedPorts: { '80/tcp': {} },
    HostConfig: { Binds: ['/usr:/mnt:ro'], Memory: 64 << 20, CapAdd: ['NET_ADMIN'] },
  });
  await container.start();
  assert.strictEqual((await container.inspect({ size: true })).Name, `/${name}`);
  assert.strictEqual((await docker.listContainers({ all: true, filters: { name: [name] } }))[0].Id, container.id);
  assert.ok((await container.top({ ps_args: 'aux' })).Processes.length > 0);
  assert.ok((await container.stats({ stream: false })).memory_stats.usage > 0);
  await container.update({ Memory: 48 << 20, MemorySwap: 96 << 20 });
  await container.pause();
  await container.unpause();
  await container.rename({ name: `${name}-renamed` });
  await container.resize({ h: 20, w: 60 });
  assert.ok((await container.infoArchive({ path: '/etc/passwd' })).headers);
  assert.ok((await read(await container.getArchive({ path: '/etc/passwd' }))).includes('nobody'));
  await container.putArchive(await container.getArchive({ path: '/etc/passwd' }), { path: '/tmp' });
  assert.ok((await container.changes()).some((c) => c.Path === '/tmp/passwd'));
  assert.ok((await read(await container.export())).length > 1_000_000);
  const exec = await container.exec({ Cmd: ['sleep', '1000'], Tty: true });
  await exec.start({ Detach: true, Tty: true });
  await exec.resize({ h: 20, w: 60 });
  assert.strictEqual((await exec.inspect()).Running, true);
  await container.restart({ t: 0 });
  await container.stop({ t: 0 });
  assert.strictEqual((await container.wait()).StatusCode, 137);
  assert.ok((await container.logs({ stdout: true })).includes('out'));
  const image = docker.getImage((await container.commit({ repo: name, tag: '1', comment: 'why' })).Id);
  assert.deepStrictEqual((await image.inspect()).RepoTags, [`${name}:1`]);
  assert.strictEqual((await image.history())[0].Comment, 'why');
  await image.tag({ repo: name, tag: '2' });
  assert.strictEqual((await docker.listImages({ filters: { reference: [name] } })).length, 1);
  const saved = await docker.getImage(`${name}:1`).get();
  const loaded = await docker.loadImage(saved);
  assert.ok((await read(loaded)).includes('Loaded image'));
  for (const tag of ['1', '2']) await docker.getImage(`${name}:${tag}`).remove();
  if (version !== '1.24') {
    await docker.pruneImages({ filters: { label: ['no.such'] } });
    assert.deepStrictEqual((await docker.pruneContainers({ filters: { label: [label] } })).ContainersDeleted, [container.id]);
  } else {
    await container.remove();
  }
  await assert.rejects(container.inspect(), (e) => e.statusCode === 404);
  const filters = { container: [container.id] };
  const events = await read(await docker.getEvents({ since: 1, until: Math.floor(Date.now() / 1000) + 1, filters }));
  assert.ok(events.toString().includes('destroy'));
}

async function main() {
  for (const version of ['1.24', '1.30', '1.41', undefined]) await calls(version);
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
