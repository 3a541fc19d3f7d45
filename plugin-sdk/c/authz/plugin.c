// Administrators may do everything, everybody else may look.
//
// authz.h is generated from the interfaces. Strings are a pointer and a length, without a zero at the end. What a function is given
// belongs to it (`…_free`); what it returns is freed by the caller. A function that can fail returns true and sets `ret`, or false and
// sets `err`.

#include "authz.h"

#include <stdlib.h>
#include <string.h>

typedef exports_wharf_authz_authorizer_request_t request_t;
typedef exports_wharf_authz_authorizer_decision_t decision_t;

#define MOST 64
static uint32_t administrators[MOST];
static size_t number;

// Reads the numbers of `"ADMINISTRATORS":[0,1]`. The schema has seen to it that they are some.
static bool read_settings(authz_string_t *err) {
    static const char key[] = "\"ADMINISTRATORS\":[";
    authz_string_t settings;
    wharf_host_config_settings(&settings);
    const char *at = NULL;
    for (size_t i = 0; i + sizeof key - 1 <= settings.len; i++) {
        if (memcmp(settings.ptr + i, key, sizeof key - 1) == 0) {
            at = (const char *)settings.ptr + i + sizeof key - 1;
        }
    }
    const char *end = (const char *)settings.ptr + settings.len;
    number = 0;
    while (at && at < end && *at != ']' && number < MOST) {
        uint32_t value = 0;
        while (at < end && *at >= '0' && *at <= '9') {
            value = value * 10 + (uint32_t)(*at++ - '0');
        }
        administrators[number++] = value;
        at += at < end && *at == ',';
    }
    bool full = at && at < end && *at != ']';
    authz_string_free(&settings);
    if (!at || full) {
        authz_string_dup(err, full ? "there are too many administrators" : "the settings name no administrators");
        return false;
    }
    return true;
}

// Before everything else. An error keeps the plugin from being enabled.
bool exports_wharf_plugin_lifecycle_start(authz_string_t *err) {
    if (!read_settings(err)) {
        return false;
    }
    authz_string_t line;
    authz_string_set(&line, "administrators are known");
    wharf_host_log_write(WHARF_HOST_LOG_LEVEL_INFO, &line);
    return true;
}

bool exports_wharf_plugin_lifecycle_reload(authz_string_t *err) {
    return read_settings(err);
}

bool exports_wharf_plugin_lifecycle_wake(authz_string_t *timer, authz_string_t *err) {
    authz_string_free(timer);
    authz_string_dup(err, "there are no timers");
    return false;
}

void exports_wharf_authz_authorizer_interests(exports_wharf_authz_authorizer_interest_t *ret) {
    ret->input = false;
    ret->filter = false;
}

// New actions may come with every version of the engine: those that are not known are not allowed.
static bool may_look(const authz_string_t *action) {
    static const char *const known[] = {
        "container.list",    "image.list",   "network.list", "volume.list",   "container.inspect", "image.inspect",
        "network.inspect",   "volume.inspect", "system.ping",  "system.version", "system.info",
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i]) == action->len && memcmp(known[i], action->ptr, action->len) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_administrator(const request_t *request) {
    if (request->caller.process.is_some) {
        for (size_t i = 0; i < number; i++) {
            if (administrators[i] == request->caller.process.val.uid) {
                return true;
            }
        }
    }
    return false;
}

// `uid 1000 may not container.create`
static void reason(const request_t *request, authz_string_t *to) {
    static const char may_not[] = " may not ";
    char who[16] = "somebody";
    if (request->caller.process.is_some) {
        char digits[10];
        size_t count = 0;
        for (uint32_t uid = request->caller.process.val.uid; count == 0 || uid > 0; uid /= 10) {
            digits[count++] = (char)('0' + uid % 10);
        }
        strcpy(who, "uid ");
        for (size_t i = 0; i < count; i++) {
            who[4 + i] = digits[count - 1 - i];
        }
        who[4 + count] = 0;
    }
    size_t before = strlen(who) + sizeof may_not - 1;
    to->len = before + request->action.len;
    to->ptr = malloc(to->len);
    if (!to->ptr) {
        abort();
    }
    memcpy(to->ptr, who, strlen(who));
    memcpy(to->ptr + strlen(who), may_not, sizeof may_not - 1);
    memcpy(to->ptr + before, request->action.ptr, request->action.len);
}

bool exports_wharf_authz_authorizer_judge(request_t *request, decision_t *ret, authz_string_t *err) {
    (void)err; // it always decides
    ret->verdict.tag = WHARF_AUTHZ_TYPES_VERDICT_ALLOW;
    if (is_administrator(request)) {
        authz_string_dup(&ret->rule, "administrator");
    } else if (may_look(&request->action)) {
        authz_string_dup(&ret->rule, "everybody may look");
    } else {
        authz_string_dup(&ret->rule, "");
        ret->verdict.tag = WHARF_AUTHZ_TYPES_VERDICT_DENY;
        ret->verdict.val.deny.hide = false;
        reason(request, &ret->verdict.val.deny.reason);
    }
    exports_wharf_authz_authorizer_request_free(request);
    return true;
}

bool exports_wharf_authz_authorizer_filter(exports_wharf_authz_authorizer_caller_t *caller,
                                           exports_wharf_authz_authorizer_list_object_t *objects, authz_list_bool_t *ret,
                                           authz_string_t *err) {
    (void)err;
    ret->len = objects->len;
    ret->ptr = malloc(objects->len + 1);
    if (!ret->ptr) {
        abort();
    }
    memset(ret->ptr, 1, objects->len);
    exports_wharf_authz_authorizer_caller_free(caller);
    exports_wharf_authz_authorizer_list_object_free(objects);
    return true;
}
