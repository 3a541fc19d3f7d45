/* A native plugin that serves the tests. */
#include "wharf_plugin.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int living;

static int answer(uint8_t **out, size_t *out_len, const void *text, size_t len) {
    atomic_fetch_add(&living, 1);
    *out = malloc(len ? len : 1);
    memcpy(*out, text, len);
    *out_len = len;
    return 0;
}

int wharf_plugin_call(const uint8_t *method, size_t method_len, const uint8_t *body, size_t body_len, uint8_t **out, size_t *out_len) {
    static const char activated[] = "{\"Implements\": [\"authz\"]}", unknown[] = "{\"Err\": \"unknown method\"}";
    static const char huge[2 << 20];
#define IS(name) (method_len == strlen(name) && memcmp(method, name, method_len) == 0)
    if (IS("Plugin.Activate"))
        return answer(out, out_len, activated, strlen(activated));
    if (IS("Test.Echo"))
        return body_len ? answer(out, out_len, body, body_len) : 0;
    if (IS("Test.Huge"))
        return answer(out, out_len, huge, sizeof huge);
    if (IS("Test.Sleep")) {
        sleep(body[0] - '0');
        return 0;
    }
    if (IS("Test.Living")) {
        char text[16];
        int len = snprintf(text, sizeof text, "%d", atomic_load(&living));
        return answer(out, out_len, text, len);
    }
    answer(out, out_len, unknown, strlen(unknown));
    return 404;
}

void wharf_plugin_free(uint8_t *out, size_t out_len) {
    (void)out_len;
    atomic_fetch_sub(&living, 1);
    free(out);
}
