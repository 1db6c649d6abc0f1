
/*
 * Copyright (C) the ngx_http_tccbs_module authors
 * SPDX-License-Identifier: BSD-2-Clause
 */


#ifndef _NGX_HTTP_TCCBS_EVIDENCE_H_INCLUDED_
#define _NGX_HTTP_TCCBS_EVIDENCE_H_INCLUDED_


#include "ngx_http_tccbs.h"


/*
 * What an answer to DescribeSnapshots tells about copies whose own answer was
 * lost: a source names the regions it is being copied to (CopyingToRegions), a
 * new snapshot has the tag of tccbs_snapshot_tag in its name.  That a copy is
 * not seen proves nothing.
 */
void ngx_http_tccbs_evidence(ngx_http_tccbs_ctx_t *ctx);


#endif /* _NGX_HTTP_TCCBS_EVIDENCE_H_INCLUDED_ */
