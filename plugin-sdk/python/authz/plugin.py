"""Administrators may do everything, everybody else may look."""

import json

from componentize_py_types import Err
from wit_world.exports.authorizer import Interest
from wit_world.imports import config, log, types

LOOKING = {
    f"{kind}.{what}"
    for kinds, words in [(["container", "image", "network", "volume"], ["list", "inspect"]), (["system"], ["ping", "version", "info"])]
    for kind in kinds
    for what in words
}

administrators = set()


class Lifecycle:
    def start(self):
        """Before everything else. An error keeps the plugin from being enabled."""
        global administrators
        try:
            administrators = set(json.loads(config.settings())["ADMINISTRATORS"])
        except (KeyError, ValueError) as error:
            raise Err(f"the settings: {error}")
        log.write(log.Level.INFO, f"administrators: {sorted(administrators)}")

    def reload(self):
        self.start()

    def wake(self, timer):
        raise Err(f'there is no timer "{timer}"')


class Authorizer:
    def interests(self):
        return Interest(input=False, filter=False)

    def judge(self, request):
        process = request.caller.process
        if process and process.uid in administrators:
            return types.Decision(types.Verdict_Allow(), "administrator")
        # New actions may come with every version of the engine: those that are not known are not allowed.
        if request.action in LOOKING:
            return types.Decision(types.Verdict_Allow(), "everybody may look")
        who = f"uid {process.uid}" if process else "somebody"
        return types.Decision(types.Verdict_Deny(types.Denial(f"{who} may not {request.action}", False)), "")

    def filter(self, caller, objects):
        return [True] * len(objects)
