/* What a native plugin of Wharf exports.
 *
 * A native plugin is a shared library that speaks Docker's plugin protocol (v1) without a socket: the same methods, the same JSON
 * documents. It runs inside the daemon, with all of its rights and on its memory: a crash in it is a crash of the daemon.
 *
 * It is found by a file NAME.spec with the line `native:///absolute/path/to/library.so` in /etc/docker/plugins or
 * /usr/lib/docker/plugins. The library and all directories above it must belong to root, be writable by root only, and be no links;
 * and the daemon must allow native plugins.
 *
 * Both functions are called from several threads at once. A call that takes longer than the daemon waits for it goes on in its
 * thread, but its answer is thrown away; when 16 calls hang, no more are made. A library is never unloaded.
 */
#ifndef WHARF_PLUGIN_H
#define WHARF_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Serves one call.
 *
 * method    name of the method, such as "Plugin.Activate" or "AuthZPlugin.AuthZReq"; not terminated by a zero
 * body      the JSON document of the call; may be empty, is not terminated by a zero
 *           (both belong to the daemon and are valid until this function returns)
 * out       receives the answer, a JSON document of 1 MiB at the most, or NULL for an empty one
 * out_len   receives its length in bytes
 *
 * Returns 0 for success. Anything else says that the call failed; the answer is then a document {"Err": "why"} or just the words.
 * A method that the plugin does not know is a failure. Exceptions and long jumps must not leave this function.
 */
int wharf_plugin_call(const uint8_t *method, size_t method_len, const uint8_t *body, size_t body_len, uint8_t **out, size_t *out_len);

/* Frees an answer of wharf_plugin_call. Called exactly once for each that is not NULL, maybe from another thread. */
void wharf_plugin_free(uint8_t *out, size_t out_len);

#ifdef __cplusplus
}
#endif

#endif
