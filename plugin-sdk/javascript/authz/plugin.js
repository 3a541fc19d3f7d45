// Administrators may do everything, everybody else may look.

import { settings } from 'wharf:host/config@0.1.0';
import { write } from 'wharf:host/log@0.1.0';

const LOOKING = new Set([
  ...['container', 'image', 'network', 'volume'].flatMap((kind) => [`${kind}.list`, `${kind}.inspect`]),
  ...['system.ping', 'system.version', 'system.info'],
]);

let administrators = new Set();

export const lifecycle = {
  // Before everything else. An error keeps the plugin from being enabled.
  start() {
    administrators = new Set(JSON.parse(settings()).ADMINISTRATORS);
    write('info', `administrators: ${[...administrators]}`);
  },
  reload() {
    lifecycle.start();
  },
  wake(timer) {
    throw `there is no timer "${timer}"`;
  },
};

export const authorizer = {
  interests() {
    return { input: false, filter: false };
  },
  judge(request) {
    const uid = request.caller.process?.uid;
    if (administrators.has(uid)) {
      return { verdict: { tag: 'allow' }, rule: 'administrator' };
    }
    // New actions may come with every version of the engine: those that are not known are not allowed.
    if (LOOKING.has(request.action)) {
      return { verdict: { tag: 'allow' }, rule: 'everybody may look' };
    }
    const who = uid === undefined ? 'somebody' : `uid ${uid}`;
    return { verdict: { tag: 'deny', val: { reason: `${who} may not ${request.action}`, hide: false } }, rule: '' };
  },
  filter(caller, objects) {
    return objects.map(() => true);
  },
};
