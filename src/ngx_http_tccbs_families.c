
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_tccbs_families.h"
#include "ngx_tccbs_text.h"


static ngx_uint_t ngx_http_tccbs_families_find(const ngx_str_t *values,
    ngx_uint_t n, const ngx_str_t *value);


static const ngx_str_t  ngx_http_tccbs_actions[] = {
    ngx_string("CopySnapshotCrossRegions"),
    ngx_string("DescribeSnapshots"),
    ngx_string("none")
};

static const ngx_str_t  ngx_http_tccbs_ends[] = {
    ngx_string("success"),
    ngx_string("partial"),
    ngx_string("rejected"),
    ngx_string("not-sent"),
    ngx_string("unknown")
};

static const ngx_str_t  ngx_http_tccbs_decisions[] = {
    ngx_string("allowed"),
    ngx_string("refused"),
    ngx_string("would-refuse"),
    ngx_string("duplicate")
};

static const ngx_str_t  ngx_http_tccbs_records[NGX_HTTP_TCCBS_NKINDS] = {
    ngx_string("intent"),
    ngx_string("outcome"),
    ngx_string("recovery"),
    ngx_string("refusal"),
    ngx_string("anchor")
};

/* in the order of ngx_http_tccbs_source_e, and of ..._grant_result_e */

static const ngx_str_t  ngx_http_tccbs_sources[] = {
    ngx_string("none"),
    ngx_string("file"),
    ngx_string("env"),
    ngx_string("role"),
    ngx_string("assume_role"),
    ngx_string("oidc")
};

static const ngx_str_t  ngx_http_tccbs_results[] = {
    ngx_string("none"),
    ngx_string("ok"),
    ngx_string("unreadable"),
    ngx_string("unreachable"),
    ngx_string("timeout"),
    ngx_string("unverified"),
    ngx_string("refused"),
    ngx_string("unusable")
};

static const ngx_str_t  ngx_http_tccbs_modes[] = {
    ngx_string("shared"),
    ngx_string("local"),
    ngx_string("closed")
};

static const ngx_str_t  ngx_http_tccbs_kinds[] = {
    ngx_string("rates"),
    ngx_string("duplicates")
};

static const ngx_str_t  ngx_http_tccbs_replies[] = {
    ngx_string("ok"),
    ngx_string("timeout"),
    ngx_string("error"),
    ngx_string("not-asked")
};

static const ngx_str_t  ngx_http_tccbs_rules[] = {
    ngx_string("actions"),
    ngx_string("from"),
    ngx_string("to"),
    ngx_string("snapshots"),
    ngx_string("rate"),
    ngx_string("quota"),
    ngx_string("duplicate"),
    ngx_string("hold"),
    ngx_string("queue"),
    ngx_string("redis"),
    ngx_string("audit"),
    ngx_string("takeover"),
    ngx_string("upstream"),
    ngx_string("credential"),
    ngx_string("time-out"),
    ngx_string("abandoned"),
    ngx_string("gateway"),
    ngx_string("authorization"),
    ngx_string("identity"),
    ngx_string("key"),
    ngx_string("signature"),
    ngx_string("timestamp"),
    ngx_string("date"),
    ngx_string("service"),
    ngx_string("token"),
    ngx_string("replay"),
    ngx_string("unsigned-payload"),
    ngx_string("method"),
    ngx_string("version"),
    ngx_string("early-data"),
    ngx_string("path"),
    ngx_string("query"),
    ngx_string("header"),
    ngx_string("repeated-header"),
    ngx_string("content-type"),
    ngx_string("body-size"),
    ngx_string("body-timeout"),
    ngx_string("action"),
    ngx_string("region"),
    ngx_string("parameters"),
    ngx_string("other")
};

/* "none": the client did not wait for an answer */

static const ngx_str_t  ngx_http_tccbs_codes[] = {
    ngx_string("Success"),
    ngx_string("none"),
    ngx_string("ActionOffline"),
    ngx_string("AuthFailure"),
    ngx_string("AuthFailure.InvalidAuthorization"),
    ngx_string("AuthFailure.InvalidSecretId"),
    ngx_string("AuthFailure.SecretIdNotFound"),
    ngx_string("AuthFailure.SignatureExpire"),
    ngx_string("AuthFailure.SignatureFailure"),
    ngx_string("AuthFailure.TokenFailure"),
    ngx_string("AuthFailure.UnauthorizedOperation"),
    ngx_string("FailedOperation"),
    ngx_string("InsufficientSnapshotQuota"),
    ngx_string("InternalError"),
    ngx_string("InternalError.ComponentError"),
    ngx_string("InternalError.ResourceOpFailed"),
    ngx_string("InvalidAccount.InsufficientBalance"),
    ngx_string("InvalidAction"),
    ngx_string("InvalidFilter"),
    ngx_string("InvalidParameter"),
    ngx_string("InvalidParameterValue"),
    ngx_string("InvalidParameterValue.LimitExceeded"),
    ngx_string("InvalidRequest"),
    ngx_string("InvalidSnapshot.NotSupported"),
    ngx_string("InvalidSnapshotId.NotFound"),
    ngx_string("IpNotInWhitelist"),
    ngx_string("LimitExceeded"),
    ngx_string("MissingParameter"),
    ngx_string("NoSuchVersion"),
    ngx_string("RequestLimitExceeded"),
    ngx_string("RequestLimitExceeded.GlobalRegionUinLimitExceeded"),
    ngx_string("RequestLimitExceeded.IPLimitExceeded"),
    ngx_string("RequestLimitExceeded.UinLimitExceeded"),
    ngx_string("RequestSizeLimitExceeded"),
    ngx_string("ResourceBusy"),
    ngx_string("ResourceInUse"),
    ngx_string("ResourceInUse.CopySnapshotConflict"),
    ngx_string("ResourceInsufficient"),
    ngx_string("ResourceNotFound"),
    ngx_string("ResourceUnavailable"),
    ngx_string("ResponseSizeLimitExceeded"),
    ngx_string("ServiceUnavailable"),
    ngx_string("UnauthorizedOperation"),
    ngx_string("UnknownParameter"),
    ngx_string("UnsupportedOperation"),
    ngx_string("UnsupportedOperation.SnapshotNotSupportCopy"),
    ngx_string("UnsupportedProtocol"),
    ngx_string("UnsupportedRegion"),
    ngx_string("other")
};


#define ngx_http_tccbs_n(list)  (sizeof(list) / sizeof(list[0]))

#define ngx_http_tccbs_label(name, list)                                      \
    { name, list, ngx_http_tccbs_n(list) }

#define ngx_http_tccbs_no_label  { NULL, NULL, 1 }

#define ngx_http_tccbs_by_action                                              \
    ngx_http_tccbs_label("action", ngx_http_tccbs_actions)

#define ngx_http_tccbs_by_sent                                                \
    { "action", ngx_http_tccbs_actions, NGX_HTTP_TCCBS_NO_ACTION }

#define NODE        NGX_HTTP_TCCBS_OF_NODE
#define ACCOUNT     NGX_HTTP_TCCBS_OF_ACCOUNT
#define CREDENTIAL  NGX_HTTP_TCCBS_OF_CREDENTIAL
#define REDIS       NGX_HTTP_TCCBS_OF_REDIS
#define COUNTER     NGX_HTTP_TCCBS_COUNTER
#define GAUGE       NGX_HTTP_TCCBS_GAUGE
#define HISTOGRAM   NGX_HTTP_TCCBS_HISTOGRAM
#define BY_ACTION   ngx_http_tccbs_by_action
#define BY_SENT     ngx_http_tccbs_by_sent
#define NONE        ngx_http_tccbs_no_label
#define BY(n, l)    ngx_http_tccbs_label(n, l)

ngx_http_tccbs_family_t  ngx_http_tccbs_families[] = {

    { "requests_total", COUNTER, ACCOUNT,
      { BY_ACTION, BY("code", ngx_http_tccbs_codes) }, 0, 1,
      "Requests by the code of their answer." },

    { "outcomes_total", COUNTER, ACCOUNT,
      { BY_SENT, BY("outcome", ngx_http_tccbs_ends) }, 0, 0,
      "Intents by what became of them." },

    { "decisions_total", COUNTER, ACCOUNT,
      { BY("decision", ngx_http_tccbs_decisions), NONE }, 0, 0,
      "Requests by what was decided of them." },

    { "refusals_total", COUNTER, ACCOUNT,
      { BY("rule", ngx_http_tccbs_rules), NONE }, 0, 1,
      "Requests that were refused or failed, by the rule." },

    { "copies_total", COUNTER, ACCOUNT, { NONE, NONE }, 0, 0,
      "Copies to a region that Tencent Cloud has confirmed." },

    { "quota_used", GAUGE, ACCOUNT, { NONE, NONE }, 0, 0,
      "Copies to a region counted today (UTC) against the quota." },

    { "quota_limit", GAUGE, ACCOUNT, { NONE, NONE }, 0, 0,
      "Copies to a region allowed in a UTC day." },


    { "upstream_requests_total", COUNTER, CREDENTIAL,
      { BY_SENT, NONE }, 0, 0,
      "Attempts that were made at the upstream." },

    { "upstream_throttled_total", COUNTER, CREDENTIAL,
      { BY_SENT, NONE }, 0, 0,
      "Attempts that Tencent Cloud has refused for its rate." },

    { "upstream_limit_configured", GAUGE, CREDENTIAL,
      { BY_SENT, NONE }, 1, 0,
      "Attempts in a second that the configuration allows." },

    { "upstream_limit", GAUGE, CREDENTIAL,
      { BY_SENT, NONE }, 1, 0,
      "Attempts in a second that are allowed now." },

    { "queue_length", GAUGE, CREDENTIAL,
      { BY_SENT, NONE }, 0, 0,
      "Calls that wait for their turn." },

    { "queue_wait_seconds", HISTOGRAM, CREDENTIAL,
      { BY_SENT, NONE }, 1, 0,
      "How long calls waited for their turn." },

    { "credential_info", GAUGE, CREDENTIAL,
      { BY("source", ngx_http_tccbs_sources), NONE }, 0, 0,
      "Where the credential comes from." },

    { "credential_valid", GAUGE, CREDENTIAL, { NONE, NONE }, 0, 0,
      "Whether the credential signs now." },

    { "credential_expiry_seconds", GAUGE, CREDENTIAL, { NONE, NONE }, 0, 0,
      "Seconds until the credential in use ends." },

    { "credential_refresh_timestamp_seconds", GAUGE, CREDENTIAL,
      { NONE, NONE }, 0, 0,
      "When the credential was taken from its source." },

    { "credential_refresh_result", GAUGE, CREDENTIAL,
      { BY("result", ngx_http_tccbs_results), NONE }, 0, 0,
      "How the last try to get the credential from its source ended." },

    { "credential_refreshes_total", COUNTER, CREDENTIAL,
      { BY("result", ngx_http_tccbs_results), NONE }, 0, 0,
      "Tries of the keeper to get the credential, by how they ended." },

    { "lease_mode", GAUGE, CREDENTIAL,
      { BY_SENT, BY("mode", ngx_http_tccbs_modes) }, 0, 0,
      "Whose slots the calls of a shared limit take." },

    { "lease_slots_held", GAUGE, CREDENTIAL, { BY_SENT, NONE }, 0, 0,
      "Slots of a shared limit that the gateway holds." },

    { "lease_slots_asked", GAUGE, CREDENTIAL, { BY_SENT, NONE }, 0, 0,
      "Slots that Redis was asked for and has not yet granted." },

    { "lease_slots_lent_total", COUNTER, CREDENTIAL, { BY_SENT, NONE }, 0, 0,
      "Slots of a shared limit that Redis has granted." },

    { "lease_slots_lapsed_total", COUNTER, CREDENTIAL, { BY_SENT, NONE }, 0, 0,
      "Slots that were granted and not used in time." },


    { "request_duration_seconds", HISTOGRAM, NODE,
      { BY_ACTION, NONE }, 1, 0,
      "How long requests took, with all that they waited for." },

    { "upstream_duration_seconds", HISTOGRAM, NODE,
      { BY_SENT, NONE }, 1, 0,
      "How long attempts at the upstream took." },

    { "open_intents", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "Intents without a durable outcome." },

    { "holds", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "Copies that are held since the outcome of an earlier one is unknown." },

    { "audit_records_total", COUNTER, NODE,
      { BY("kind", ngx_http_tccbs_records), NONE }, 0, 0,
      "Records that were written to the audit log." },

    { "audit_sync_seconds", HISTOGRAM, NODE, { NONE, NONE }, 1, 0,
      "How long fdatasync() of the audit log took." },

    { "audit_write_failures_total", COUNTER, NODE, { NONE, NONE }, 0, 0,
      "Failed attempts to write the audit log." },

    { "audit_failing_workers", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "Workers that cannot write the audit log and forward nothing." },

    { "audit_full_workers", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "Workers that find no room for the audit log and forward nothing." },

    { "upstream_clock_skew_seconds", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "How far the clock of this host is ahead of the last answer's Date." },

    { "workers", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "Worker processes, with those that finish after a reload." },

    { "worker_starts_total", COUNTER, NODE, { NONE, NONE }, 0, 0,
      "Worker processes that were started." },

    { "config_generation", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "Configurations that were taken into use since the start." },

    { "config_load_timestamp_seconds", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "When the configuration was taken into use." },

    { "config_reload_failures_total", COUNTER, NODE, { NONE, NONE }, 0, 0,
      "Reloads whose configuration was refused." },

    { "zone_size_bytes", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "Size of the shared memory." },

    { "zone_free_bytes", GAUGE, NODE, { NONE, NONE }, 0, 0,
      "Whole pages of the shared memory that are free." },


    { "redis_up", GAUGE, REDIS, { NONE, NONE }, 0, 0,
      "Whether all workers ask Redis." },

    { "redis_open_workers", GAUGE, REDIS, { NONE, NONE }, 0, 0,
      "Workers that ask nothing, since Redis fails." },

    { "redis_opens_total", COUNTER, REDIS, { NONE, NONE }, 0, 0,
      "How often a worker has ceased to ask." },

    { "redis_mode_workers", GAUGE, REDIS,
      { BY("kind", ngx_http_tccbs_kinds), BY("mode", ngx_http_tccbs_modes) },
      0, 0,
      "Workers by how they decide now." },

    { "redis_calls_total", COUNTER, REDIS,
      { BY("result", ngx_http_tccbs_replies), NONE }, 0, 0,
      "Calls of Redis by how they ended." },

    { "redis_call_duration_seconds", HISTOGRAM, REDIS, { NONE, NONE }, 1, 0,
      "How long calls of Redis took that were answered." },

    { "redis_servers", GAUGE, REDIS, { NONE, NONE }, 0, 0,
      "Addresses of Redis that are known." },

    { "redis_nodes", GAUGE, REDIS, { NONE, NONE }, 0, 0,
      "Gateways that share the limits, as configured." }
};

#undef NODE
#undef ACCOUNT
#undef CREDENTIAL
#undef REDIS
#undef COUNTER
#undef GAUGE
#undef HISTOGRAM
#undef BY_ACTION
#undef BY_SENT
#undef NONE
#undef BY


/* microseconds */

const uint64_t  ngx_http_tccbs_bounds[NGX_HTTP_TCCBS_NBOUNDS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
    500000, 1000000, 2500000, 5000000, 10000000, 30000000, 60000000
};


ngx_uint_t
ngx_http_tccbs_families_code(const ngx_str_t *code)
{
    u_char      *dot;
    ngx_str_t    base;
    ngx_uint_t   i, n;

    n = ngx_http_tccbs_n(ngx_http_tccbs_codes);
    i = ngx_http_tccbs_families_find(ngx_http_tccbs_codes, n, code);

    if (i < n - 1) {
        return i;
    }

    /* a code of Tencent that nobody told us of: what it is one of */

    dot = ngx_strlchr(code->data, code->data + code->len, '.');

    if (dot == NULL) {
        return i;
    }

    base.data = code->data;
    base.len = dot - code->data;

    return ngx_http_tccbs_families_find(ngx_http_tccbs_codes, n, &base);
}


ngx_uint_t
ngx_http_tccbs_families_rule(const ngx_str_t *rule)
{
    return ngx_http_tccbs_families_find(ngx_http_tccbs_rules,
                                       ngx_http_tccbs_n(ngx_http_tccbs_rules),
                                       rule);
}


static ngx_uint_t
ngx_http_tccbs_families_find(const ngx_str_t *values, ngx_uint_t n,
    const ngx_str_t *value)
{
    ngx_uint_t  i;

    for (i = 0; i < n - 1; i++) {
        if (ngx_tccbs_same(&values[i], value)) {
            break;
        }
    }

    return i;
}


ngx_uint_t
ngx_http_tccbs_families_kind(const ngx_str_t *rest)
{
    size_t            len;
    ngx_uint_t        i;
    const ngx_str_t  *kind;

    len = sizeof("\"kind\":\"") - 1;

    for (i = 0; i < NGX_HTTP_TCCBS_NKINDS - 1; i++) {

        kind = &ngx_http_tccbs_records[i];

        if (rest->len > len + kind->len
            && ngx_strncmp(rest->data + len, kind->data, kind->len) == 0)
        {
            break;
        }
    }

    return i;
}
